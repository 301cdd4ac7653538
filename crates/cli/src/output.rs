//! Printing on standard output and standard error, in colour on a terminal, and how counts and
//! sizes are written.
//! Everything in this crate but `error` may use it; of this crate it uses `error` only.

use crate::error::Error;
use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// The styles of words that the user is to find at a glance. They are written to `anstream`, which
/// drops them if the stream is no terminal, or the environment says so (`NO_COLOR`).
pub struct Palette {
    pub good: Style,
    pub warning: Style,
    pub bad: Style,
}

impl Palette {
    pub const COLOURED: Palette = Palette {
        good: AnsiColor::Green.on_default().bold(),
        warning: AnsiColor::Yellow.on_default().bold(),
        bad: AnsiColor::Red.on_default().bold(),
    };

    /// For text that is not printed on a stream.
    pub const PLAIN: Palette =
        Palette { good: Style::new(), warning: Style::new(), bad: Style::new() };
}

/// Prints one line on standard error, which the program that is run may share.
pub fn notify(line: impl Display) {
    print_line(Palette::COLOURED.warning, line);
}

/// As [`notify`], for a failure.
pub fn complain(line: impl Display) {
    print_line(Palette::COLOURED.bad, line);
}

fn print_line(style: Style, line: impl Display) {
    anstream::eprintln!("{style}allograft:{style:#} {line}");
}

/// How long a command waits for something before it says what it waits for.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Prints what is waited for, where standard error is a terminal: a script has no use for it. The
/// line stays, because the program may print at any moment.
pub fn notify_of_wait(what: impl Display) {
    if io::stderr().is_terminal() {
        notify(format_args!("waiting for {what}"));
    }
}

/// Prints `text` on standard output, and the files that were refused, with the reasons, on standard
/// error. Returns the exit code.
pub fn print_with_refusals<'a>(
    text: &str,
    refusals: impl IntoIterator<Item = (&'a Path, &'a str)>,
) -> Result<u32, Error> {
    let mut exit_code = 0;
    for (path, reason) in refusals {
        exit_code = 125;
        complain(format_args!("{}: {reason}", path.display()));
    }
    print(text)?;
    Ok(exit_code)
}

/// Prints `text` on standard output.
pub fn print(text: &str) -> Result<(), Error> {
    anstream::stdout().lock().write_all(text.as_bytes()).map_err(unprintable)
}

/// `value` as indented JSON with a line break behind it.
pub fn pretty_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value).map_err(|error| unprintable(error.into()))?;
    Ok(json + "\n")
}

fn unprintable(source: io::Error) -> Error {
    Error::system("print the answer", source)
}

/// `text` on one line and without control characters, which could steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 block`, `1,234 blocks`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(count))
}

/// A number of bytes in the largest unit of which there is at least one.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = UNITS.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
        return counted(bytes, "byte");
    };
    let value = bytes as f64 / (1u64 << shift) as f64;
    if shift == 10 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_in_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1,023 bytes"),
            (1024, "1 KiB"),
            (580_608, "567 KiB"),
            (1 << 20, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn digits_are_grouped_by_thousands() {
        for (count, text) in
            [(0, "0 as"), (999, "999 as"), (1000, "1,000 as"), (1234567, "1,234,567 as")]
        {
            assert_eq!(counted(count, "a"), text);
        }
    }
}
