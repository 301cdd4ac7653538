//! The commands that the window runs. It does nothing that the command line does not do, and shows
//! each command before it runs it.

use crate::command_line;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Something that is done to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Run,
    /// Write a patched copy.
    Patch,
    /// Take a patch back.
    UndoPatch,
    /// Write a DLL that the program loads instead of the system's of this name.
    Proxy(&'static str),
    /// Remove that DLL.
    RemoveProxy(&'static str),
    /// Measure the program, and write a page to the file.
    Bench(PathBuf),
    /// Put the module into the running process with this id.
    Inject(u32),
}

impl Action {
    /// The command that does this to the program at `path`.
    pub fn command(&self, path: &Path) -> CommandLine {
        let folder = path.parent().unwrap_or(Path::new("."));
        match self {
            Action::Run => CommandLine::new(["run", "--"]).and(path),
            Action::Patch => CommandLine::new(["patch", "--with-module"]).and(path),
            Action::UndoPatch => CommandLine::new(["patch", "--undo"]).and(path),
            Action::Proxy(name) => CommandLine::new(["proxy", "--as", name, "--into"]).and(folder),
            Action::RemoveProxy(name) => {
                CommandLine::new(["proxy", "--as", name, "--remove", "--into"]).and(folder)
            }
            Action::Bench(page) => {
                let bench = CommandLine::new(["bench", "--progress", "--html"]).and(page);
                bench.and("--").and(path)
            }
            // Counted, so that the window can show how the old heap drains.
            Action::Inject(pid) => CommandLine::new(["inject", "--count", "--pid"]).number(*pid),
        }
    }
}

/// The arguments of one `allograft` command. Displayed, it is the line that a user would type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn new<const N: usize>(words: [&str; N]) -> CommandLine {
        CommandLine(words.map(OsString::from).into())
    }

    pub fn check(path: &Path) -> CommandLine {
        CommandLine::new(["check"]).and(path)
    }

    pub fn status_of_all() -> CommandLine {
        CommandLine::new(["status", "--all"])
    }

    pub fn status(pid: u32) -> CommandLine {
        CommandLine::new(["status", "--watch", "--pid"]).number(pid)
    }

    pub fn help() -> CommandLine {
        CommandLine::new(["--help"])
    }

    fn and(mut self, word: impl AsRef<OsStr>) -> CommandLine {
        self.0.push(word.as_ref().to_owned());
        self
    }

    fn number(self, number: u32) -> CommandLine {
        self.and(number.to_string())
    }

    /// Whether a program of the user's runs by it.
    pub fn runs_a_program(&self) -> bool {
        self.0.first().is_some_and(|word| word == "run")
    }

    pub fn arguments(&self) -> &[OsString] {
        &self.0
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allograft")?;
        for word in &self.0 {
            write!(f, " {}", command_line::quoted(&word.to_string_lossy()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn every_command_is_one_of_the_command_line() {
        let path = Path::new("/games/a game/game.exe");
        let page = PathBuf::from("/tmp/a page.html");
        let actions = [
            Action::Run,
            Action::Patch,
            Action::UndoPatch,
            Action::Proxy("version.dll"),
            Action::RemoveProxy("version.dll"),
            Action::Bench(page),
            Action::Inject(4711),
        ];
        let mut commands: Vec<_> = actions.iter().map(|action| action.command(path)).collect();
        commands.extend([
            CommandLine::check(path),
            CommandLine::status_of_all(),
            CommandLine::status(42),
        ]);
        for command in commands {
            let words = [&[OsString::from("allograft")], command.arguments()].concat();
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{command}: {error}");
            }
        }
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let shown = |action: Action, path: &str| action.command(Path::new(path)).to_string();
        assert_eq!(shown(Action::Run, "/g/game.exe"), "allograft run -- /g/game.exe");
        assert_eq!(
            shown(Action::Proxy("dxgi.dll"), "/my games/game.exe"),
            "allograft proxy --as dxgi.dll --into \"/my games\""
        );
    }
}
