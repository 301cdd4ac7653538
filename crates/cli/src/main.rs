//! `allograft`: starts Windows programs on mimalloc, and puts it into running ones.

mod args;
mod bench;
mod check;
mod error;
mod patch;
mod proxy;

// What only the launcher needs is compiled on other hosts for its tests alone.
#[cfg(any(windows, test))]
mod command_line;
#[cfg(any(windows, test))]
mod diagnosis;
#[cfg(any(windows, test))]
mod outcome;
#[cfg(any(windows, test))]
mod search_path;
#[cfg(any(windows, test))]
mod status;

#[cfg(windows)]
mod assist;
#[cfg(windows)]
mod inject;
#[cfg(windows)]
mod injection;
#[cfg(windows)]
mod module;
#[cfg(windows)]
mod run;
#[cfg(windows)]
mod windows;

/// The image builder of the image crate's tests, which serves those of `patch` and `check` as well.
#[cfg(test)]
#[path = "../../image/tests/support/build_image.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod build_image;

use args::{Cli, Command};
use error::Error;

fn main() {
    let exit_code = match Cli::read(std::env::args_os()) {
        Ok(cli) => dispatch(cli),
        Err(answer) => print_or_refuse(&answer),
    }
    .unwrap_or_else(|error| {
        say(&error);
        error.exit_code().into()
    });
    // Windows has exit codes of 32 bits, and this function hands all of them on.
    std::process::exit(exit_code as i32);
}

/// Does what the command line asks for. Returns the exit code: that of the program, where one is
/// run.
#[cfg(windows)]
fn dispatch(cli: Cli) -> Result<u32, Error> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Inject(args) => inject::inject(&args),
        Command::Status(args) => status::run(&args),
        Command::Patch(args) => patch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Assist(args) => assist::run(&args),
    }
}

/// Does what the command line asks for, as far as it needs no Windows.
#[cfg(not(windows))]
fn dispatch(cli: Cli) -> Result<u32, Error> {
    match cli.command {
        Command::Run(_) => Err(Error::NeedsWindows { command: "run" }),
        Command::Inject(_) => Err(Error::NeedsWindows { command: "inject" }),
        Command::Bench(_) => Err(Error::NeedsWindows { command: "bench" }),
        Command::Status(_) => Err(Error::NeedsWindows { command: "status" }),
        Command::Assist(_) => Err(Error::NeedsWindows { command: "assist" }),
        Command::Patch(args) => patch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Proxy(args) => proxy::run(&args),
    }
}

/// Prints the manual or the version if that is what was asked for; else the command line was wrong.
fn print_or_refuse(answer: &clap::Error) -> Result<u32, Error> {
    if answer.use_stderr() {
        return Err(Error::Usage(usage_line(&answer.render().to_string())));
    }
    answer
        .print()
        .map_err(|source| Error::System { action: "print the manual".to_owned(), source })?;
    Ok(0)
}

/// The parser's complaint on one line, without its usage text.
fn usage_line(complaint: &str) -> String {
    let what = complaint.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = what.split_whitespace().collect();
    let line = words.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line} (`allograft --help` is the manual)")
}

/// Says one line on standard error, which the program run may share.
fn say(line: &dyn std::fmt::Display) {
    eprintln!("allograft: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let answer = Cli::read(arguments.iter().map(Into::into)).unwrap_err();
        print_or_refuse(&answer).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_command_line_is_refused_in_one_line() {
        for arguments in [
            &["allograft"][..],
            &["allograft", "run"],
            &["allograft", "inject"],
            &["allograft", "inject", "--pid", "x"],
            &["allograft", "inject", "--pid", "1", "--name", "a"],
            &["allograft", "status"],
            &["allograft", "status", "--pid", "1", "--all"],
            &["allograft", "frobnicate"],
            &["allograft", "run", "--late", "-1", "--", "a"],
            &["allograft", "run", "--lat", "1", "--", "a"],
        ] {
            let line = complaint(arguments);
            assert!(!line.contains('\n'), "{line}");
            assert!(line.ends_with("(`allograft --help` is the manual)"), "{line}");
        }
    }

    #[test]
    fn the_complaint_names_what_is_missing() {
        assert_eq!(
            complaint(&["allograft", "run"]),
            "the following required arguments were not provided: <PROGRAM> [ARGS]... \
             (`allograft --help` is the manual)"
        );
    }
}
