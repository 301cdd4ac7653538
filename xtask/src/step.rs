//! Prints what is being done, and runs other programs.
//!
//! Everything goes to standard error. On a terminal a step shows that it is alive; elsewhere it is
//! a plain line.

use std::env;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Announced when it begins, and with its duration when it is done.
pub struct Step {
    what: String,
    bar: ProgressBar,
    began: Instant,
}

impl Step {
    /// Announces `what`, for instance "set-up: making the base Wine prefix".
    pub fn begin(what: impl Into<String>) -> Step {
        Step::with_bar(what.into(), ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})")
    }

    /// The same, of a known number of pieces, which [`Step::advance`] counts.
    pub fn with_pieces(what: impl Into<String>, pieces: u64) -> Step {
        let template = "{spinner} {msg} {wide_bar} {pos}/{len} ({elapsed})";
        Step::with_bar(what.into(), ProgressBar::new(pieces), template)
    }

    fn with_bar(what: String, bar: ProgressBar, template: &str) -> Step {
        // Elsewhere than on a terminal, indicatif draws nothing.
        if bar.is_hidden() {
            say(&format!("{what} …"));
        } else {
            let style = ProgressStyle::with_template(template).expect("templates are constant");
            bar.set_style(style);
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Step { what, bar, began: Instant::now() }
    }

    /// Counts one more piece as done.
    pub fn advance(&self) {
        self.bar.inc(1);
    }

    pub fn done(self) {
        self.bar.finish_and_clear();
        say(&format!("{}: done in {}", self.what, seconds(self.began.elapsed())));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A duration as a person reads it: `0.4 s`, `83 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = command.get_program();
    // cargo passes on its own full path, which would be most of every line.
    let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == program);
    let program = if is_cargo { "cargo".into() } else { program.to_string_lossy() };
    let mut words = vec![program.into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs `command` with this program's own standard streams.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs `command` with this program's own standard streams. A failing exit code is no error.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| cannot_start(command))
}

pub fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

/// Runs `command` without output and returns its standard output. The error of a failure ends with
/// the command's last lines.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}", failure(command, output.status, &format!("{stdout}{stderr}")));
    }
    Ok(stdout)
}

/// Runs `command` without output for at most `limit`. One that takes longer is ended, and is an
/// error.
pub fn capture_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let mut stderr = child.stderr.take().context("no pipe to the command")?;
    // Read beside the wait, or a talkative command would block on a full pipe. The thread is not
    // joined after a time-out: a grandchild may hold the pipe open.
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stderr.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("`{}` took longer than {}", shown(command), seconds(limit));
        }
        thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        bail!("{}", failure(command, status, &reader.join().unwrap_or_default()));
    }
    Ok(())
}

fn failure(command: &Command, status: ExitStatus, said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(12)..];
    let first = format!("`{}` failed ({status})", shown(command));
    [&[first.as_str()], last].concat().join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_a_persons() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_millis(83_400)), "83 s");
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_command_is_named_with_its_last_words() {
        let error = capture(Command::new("sh").args(["-c", "echo first; echo last >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("last"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let began = Instant::now();
        let error = capture_within(Command::new("sleep").arg("60"), Duration::from_millis(100))
            .unwrap_err()
            .to_string();
        assert!(error.contains("took longer than"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
