//! `allograft`: starts Windows programs on mimalloc, and puts it into running ones.
//!
//! From the bottom to the top: `error` and `output`; `windows`; `page_reading`, `page_text` and
//! `diagnosis`; a module for each command; `cli`; `window`, which runs commands. No module uses one
//! above it.

#![cfg_attr(not(windows), allow(dead_code, reason = "only code for Windows uses all of it"))]

mod args;
mod bench;
mod check;
mod cli;
mod command_line;
mod completions;
mod diagnosis;
#[cfg(test)]
mod documents;
mod error;
mod module_copy;
mod output;
mod page_reading;
mod page_text;
mod patch;
mod proxy;
mod search_path;
mod verify;
mod window;

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
mod status;
#[cfg(windows)]
mod windows;

/// The image builder of the image crate's tests, which serves those of `patch` and `check` as well.
#[cfg(test)]
#[path = "../../image/tests/support/build_image.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod build_image;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use error::Error;

fn main() {
    #[cfg(windows)]
    if let Some(opening) = requested_window() {
        match window::show(&opening) {
            Ok(exit_code) => std::process::exit(exit_code as i32),
            // The console is still there, for this line and what the command line answers.
            Err(error) => output::notify(error),
        }
    }
    let exit_code = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command),
        Err(answer) => print_or_refuse(&answer),
    }
    .unwrap_or_else(|error| {
        output::complain(&error);
        error.exit_code.into()
    });
    // Windows has exit codes of 32 bits, and this function passes all of them on.
    std::process::exit(exit_code as i32);
}

/// The window that is to be opened, if this is no command line.
#[cfg(windows)]
fn requested_window() -> Option<window::Opening> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    window::Opening::of(&arguments, windows::console::is_own(), std::path::Path::exists)
}

/// Runs the command. Returns the exit code: that of the program if the command runs one.
fn dispatch(command: Command) -> Result<u32, Error> {
    match command {
        Command::Patch(args) => patch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Completions(args) => completions::run(&args, &Cli::command()),
        #[cfg(windows)]
        Command::Run(args) => run::run(&args),
        #[cfg(windows)]
        Command::Inject(args) => inject::inject(&args),
        #[cfg(windows)]
        Command::Status(args) => status::run(&args),
        #[cfg(windows)]
        Command::Bench(args) => bench::run(&args),
        #[cfg(windows)]
        Command::Verify(args) => verify::run(&args),
        #[cfg(windows)]
        Command::Assist(args) => assist::run(&args),
        // The other commands need Windows processes. The first argument names the command.
        #[cfg(not(windows))]
        _ => Err(Error::new(format!(
            "`allograft {}` works on Windows processes: use it on Windows or under Wine",
            std::env::args().nth(1).unwrap_or_default()
        ))),
    }
}

/// Prints the manual or the version if the user asked for it; else the command line was wrong.
fn print_or_refuse(answer: &clap::Error) -> Result<u32, Error> {
    if answer.use_stderr() {
        return Err(Error::new(usage_line(&answer.render().to_string())));
    }
    answer.print().map_err(|source| Error::system("print the manual", source))?;
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
