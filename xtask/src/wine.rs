//! Wine: one prefix for each C runtime, a server that stays up while there is work, and cargo's
//! runner for Windows tests.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use allograft_tests::Target;
use anyhow::{Context, Result, bail};

use crate::{layout, step};

/// How long, in seconds, a server outlives its last program. It is ended long before, unless the
/// session that started it was killed.
const SERVER_STAYS: &str = "600";

#[derive(Clone, Debug)]
pub struct Wine {
    pub loader: PathBuf,
    pub server: PathBuf,
    /// It runs 32-bit programs too.
    pub is_whole: bool,
    /// The folder of its prefixes.
    pub prefixes: PathBuf,
}

/// One Wine prefix of the project, with the C runtime it runs programs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// `wine` for Wine's own C runtime, else the version of Microsoft's.
    pub name: String,
    pub folder: PathBuf,
}

impl Prefix {
    pub const OWN: &str = "wine";

    /// The prefix called `name` of the Wine of this machine, whether it exists or not.
    pub fn named(name: &str) -> Prefix {
        Prefix { name: name.to_owned(), folder: layout::prefixes().join(name) }
    }

    /// The version of Microsoft's C runtime in it, if it is not Wine's own.
    pub fn version(&self) -> Option<&str> {
        (self.name != Self::OWN).then_some(self.name.as_str())
    }

    /// The value of `WINEDLLOVERRIDES` that makes programs use its C runtime, and Microsoft's C++
    /// runtime with Microsoft's C runtime: Wine's C++ streams on top of that print garbage. A crash
    /// ends the program and says nothing, where Wine's debugger would print thousands of lines.
    pub fn overrides(&self) -> &'static str {
        match self.version() {
            Some(_) => "ucrtbase,msvcp140,vcruntime140,vcruntime140_1=n,b;winedbg.exe=d",
            None => "winedbg.exe=d",
        }
    }

    pub fn system_folder(&self, target: &Target) -> PathBuf {
        self.folder.join("drive_c/windows").join(target.system_folder)
    }
}

impl Wine {
    /// The Wine of this machine, if it has one: that which set-up has completed, else what is
    /// installed.
    pub fn find() -> Option<Wine> {
        Self::completed().or_else(Self::installed)
    }

    /// The Wine that is installed, if there is one: Debian's place first, which is in nobody's
    /// `PATH`.
    pub fn installed() -> Option<Wine> {
        let debian =
            |name: &str| Some(Path::new("/usr/lib/wine").join(name)).filter(|file| file.is_file());
        let loader = debian("wine64")
            .or_else(|| layout::in_path("wine64"))
            .or_else(|| layout::in_path("wine"))?;
        let server = debian("wineserver").or_else(|| layout::in_path("wineserver"))?;
        Some(Wine {
            // Wine calls this one, beside the other, for 32-bit programs.
            is_whole: loader.with_file_name("wine").is_file(),
            loader,
            server,
            prefixes: layout::prefixes(),
        })
    }

    pub fn completed() -> Option<Wine> {
        let loader = Self::completed_folder().ok()?.join("wine64");
        let wine = Self::installed()?;
        (!wine.is_whole && loader.is_file()).then_some(Wine { loader, is_whole: true, ..wine })
    }

    /// Where set-up puts what it adds.
    pub fn completed_folder() -> Result<PathBuf> {
        Ok(layout::cache()?.join("wine-32-bits"))
    }

    /// The prefix called `name`, whether it exists or not.
    pub fn prefix(&self, name: &str) -> Prefix {
        Prefix { name: name.to_owned(), folder: self.prefixes.join(name) }
    }

    pub fn command(&self, prefix: &Prefix, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.loader);
        command.arg(program);
        prefix_environment(&mut command, prefix);
        command.env("WINEDLLOVERRIDES", prefix.overrides());
        command
    }

    /// As it prints it, for instance `wine-8.0 (Debian 8.0~repack-4)`.
    pub fn version(&self) -> Result<String> {
        Ok(step::capture(Command::new(&self.loader).arg("--version"))?.trim().to_owned())
    }

    /// Waits until nothing runs in `prefix` any more, and its registry is written.
    pub fn settle(&self, prefix: &Prefix) -> Result<()> {
        step::capture(&mut self.server_command(prefix, "--wait")).map(drop)
    }

    fn server_command(&self, prefix: &Prefix, argument: &str) -> Command {
        let mut command = Command::new(&self.server);
        command.arg(argument);
        prefix_environment(&mut command, prefix);
        command
    }

    /// Keeps the servers of `prefixes` up between programs, for as long as the returned guard
    /// lives.
    pub fn keep_alive(&self, prefixes: &[Prefix]) -> Servers {
        let servers = Servers { wine: self.clone(), prefixes: prefixes.to_vec() };
        servers.call(&format!("--persistent={SERVER_STAYS}"));
        servers
    }
}

/// Servers that stay up between programs; dropping this ends them and whatever still runs in their
/// prefixes.
pub struct Servers {
    wine: Wine,
    prefixes: Vec<Prefix>,
}

impl Servers {
    /// Starts the services that Wine starts with the first program of a prefix. It takes a second
    /// for each prefix, and pays off if many programs follow.
    ///
    /// The services live as long as the server and inherit the standard streams of that first
    /// program: here they get none. Else they would hold the pipe of a program whose output is read
    /// open long after that program's end. It is no failure if they do not start: the next program
    /// starts its own.
    pub fn start_services(&self) {
        self.for_each_prefix(|prefix| {
            let mut command = self.wine.command(prefix, "cmd.exe");
            command.args(["/c", "exit"]);
            command
        });
    }

    fn call(&self, argument: &str) {
        self.for_each_prefix(|prefix| self.wine.server_command(prefix, argument));
    }

    /// Runs a command for each prefix, all at once: some do little more than wait.
    fn for_each_prefix(&self, command: impl Fn(&Prefix) -> Command) {
        let nothing = Stdio::null;
        let start =
            |prefix| command(prefix).stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn();
        let started: Vec<_> = self.prefixes.iter().map(start).collect();
        for mut child in started.into_iter().flatten() {
            let _ = child.wait();
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.call("--kill");
    }
}

fn prefix_environment(command: &mut Command, prefix: &Prefix) {
    command.env("WINEPREFIX", &prefix.folder).env("WINEDEBUG", "-all");
    // A prefix is 64-bit because it was made so; a variable that asks for 32 bits would refuse it.
    command.env_remove("WINEARCH");
}

/// The command that switches off address space randomisation, where the system allows it. Debian's
/// Wine lacks the loader that reserves the addresses which Windows uses: about one start in a
/// thousand finds something of the host's there, and ends with the exit code 1 and no message.
pub fn at_fixed_addresses() -> &'static str {
    const SETARCH: [&str; 3] = ["setarch", "x86_64", "-R"];
    let mut trial = Command::new(SETARCH[0]);
    match step::capture(trial.args(&SETARCH[1..]).arg("true")) {
        Ok(_) => "setarch x86_64 -R ",
        Err(_) => "",
    }
}

/// Cargo's runner for Windows tests: runs the program of `command` on the C runtime that
/// `ALLOGRAFT_CRT` names, and ends as it ends.
pub fn run_program(command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no program to run")?;
    let mut command = if cfg!(windows) { Command::new(program) } else { under_wine(program)? };
    replace_by(command.args(arguments))
}

fn under_wine(program: &OsString) -> Result<Command> {
    let name = env::var("ALLOGRAFT_CRT").unwrap_or_else(|_| Prefix::OWN.to_owned());
    let prefix = Prefix::named(&name);
    if !prefix.folder.is_dir() {
        bail!(
            "there is no Wine prefix with the C runtime `{name}` ({} is missing): run `cargo xtask setup`, with --all-crts for the rarer versions",
            prefix.folder.display()
        );
    }
    let wine = Wine::find().context("Wine is not installed: run `cargo xtask setup`")?;
    Ok(wine.command(&prefix, program))
}

/// Becomes `command`: signals, standard streams and the exit code are its own.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(error).with_context(|| step::cannot_start(command))
}

/// Runs `command` and passes its exit code on.
#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    let status = step::status(command)?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_microsofts_runtime_prefers_the_native_dll() {
        let microsoft = Prefix::named("10.0.1.2");
        assert_eq!(microsoft.version(), Some("10.0.1.2"));
        assert!(microsoft.overrides().starts_with("ucrtbase,"));
        let own = Prefix::named(Prefix::OWN);
        assert_eq!(own.version(), None);
        assert!(!own.overrides().contains("ucrtbase"));
    }
}
