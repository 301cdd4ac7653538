//! `allograft completions`: the script by which a shell completes the command line.

use crate::error::Error;
use crate::output;
use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that is to read the script
    #[arg(value_name = "SHELL")]
    pub shell: ShellName,
}

/// The shells of Windows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ShellName {
    /// Windows PowerShell and PowerShell 7
    #[value(name = "powershell")]
    PowerShell,
    /// bash, as in Git for Windows and MSYS2
    Bash,
}

pub const COMPLETIONS_MANUAL: &str = "\
Examples:
  In PowerShell, for this session; for every one, in the file $PROFILE:
      allograft completions powershell | Out-String | Invoke-Expression
  In bash, for every session:
      allograft completions bash >> ~/.bashrc

Exit codes:
  0    the script was printed
  125  it could not be; one line on standard error gives the reason";

/// Prints the script for `program`, the command line as a whole. Returns the exit code.
pub fn run(args: &CompletionsArgs, program: &Command) -> Result<u32, Error> {
    let shell = match args.shell {
        ShellName::PowerShell => Shell::PowerShell,
        ShellName::Bash => Shell::Bash,
    };
    output::print(&script(shell, program))?;
    Ok(0)
}

fn script(shell: Shell, program: &Command) -> String {
    const NAME: &str = "allograft";
    // The generator does not know of hidden commands.
    let shown = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut program = Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(program.get_arguments().cloned())
        .subcommands(shown);
    let mut script = Vec::new();
    generate(shell, &mut program, NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
