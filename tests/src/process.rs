//! One host process with bounded waits: it is started, read line by line, and ended by its own id.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use allograft_laboratory::{lines_of, text_of};

/// How often to ask whether a process has ended.
const POLL: Duration = Duration::from_millis(5);

/// How long after the end of a process its output is still waited for. The pipes need not close
/// with it: under Wine the first program of a prefix starts services that inherit them.
const LAST_WORDS: Duration = Duration::from_millis(250);

pub(crate) struct BoundedProcess {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    deadline: Instant,
}

impl BoundedProcess {
    /// Starts `command` with all three standard streams piped. It may run for `limit`.
    pub(crate) fn start(mut command: Command, limit: Duration) -> Result<BoundedProcess, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        lead_a_group(&mut command);
        let mut child = command.spawn().map_err(|error| {
            format!("{} cannot be started: {error}", command.get_program().display())
        })?;
        let lines = lines_of(child.stdout.take().expect("standard output is piped"));
        let errors = lines_of(child.stderr.take().expect("standard error is piped"));
        Ok(BoundedProcess {
            input: child.stdin.take(),
            child,
            lines,
            errors,
            deadline: Instant::now() + limit,
        })
    }

    /// Writes `text` to standard input. A process that has ended is no error: its exit code tells
    /// more.
    pub(crate) fn write(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(text.as_bytes());
            let _ = input.flush();
        }
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// The next line of standard output, without its end; none at the end of the output, or if the
    /// time was used up.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        loop {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            match self.lines.recv_timeout(if ended { LAST_WORDS } else { 10 * POLL }) {
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Timeout) if !ended && !self.remaining().is_zero() => (),
                Err(_) => return None,
            }
        }
    }

    /// Waits for the end and gives the exit code; none if the time was used up or a signal ended
    /// the process.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.close_input();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code(),
                Ok(None) if self.remaining().is_zero() => return None,
                Ok(None) => thread::sleep(POLL),
                Err(_) => return None,
            }
        }
    }

    /// The text of standard error. Call it after the end.
    pub(crate) fn errors(&self) -> String {
        text_of(&self.errors, LAST_WORDS)
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Drop for BoundedProcess {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            end_group(self.child.id());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Makes the process the leader of a group of its own, so that what it starts can be ended with it.
#[cfg(unix)]
fn lead_a_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn lead_a_group(_command: &mut Command) {}

/// Ends the process `id` and those that it started: on Unix, the group that it leads.
fn end_group(id: u32) {
    let command = if cfg!(unix) {
        format!("kill -KILL -- -{id}")
    } else {
        format!("taskkill /F /T /PID {id}")
    };
    let (tool, arguments) = command.split_once(' ').expect("there are arguments");
    let mut command = Command::new(tool);
    command.args(arguments.split(' '));
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> BoundedProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        BoundedProcess::start(command, limit).unwrap()
    }

    #[test]
    fn lines_arrive_while_the_process_waits_for_its_input() {
        let mut process = shell(
            "echo ready; read word; echo got $word; echo no >&2; exit 5",
            Duration::from_secs(20),
        );
        assert_eq!(process.next_line().unwrap(), "ready");
        process.write("go\n");
        assert_eq!(process.next_line().unwrap(), "got go");
        assert_eq!(process.next_line(), None);
        assert_eq!(process.wait(), Some(5));
        assert_eq!(process.errors(), "no\n");
    }

    #[test]
    fn the_end_is_seen_even_if_a_child_holds_the_pipe_open() {
        let started = Instant::now();
        let mut process = shell("sleep 20 & echo done", Duration::from_secs(60));
        assert_eq!(process.next_line().unwrap(), "done");
        assert_eq!(process.next_line(), None);
        assert_eq!(process.wait(), Some(0));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_process_that_takes_too_long_is_given_up_and_ended_with_its_children() {
        let started = Instant::now();
        let mut process = shell("sleep 60 & sleep 60", Duration::from_millis(100));
        assert_eq!(process.next_line(), None);
        assert_eq!(process.wait(), None);
        drop(process);
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
