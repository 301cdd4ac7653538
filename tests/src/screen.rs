//! A screen for programs with windows, which are used by the keyboard and looked at.
//!
//! Under Wine it is an X server without a monitor, with a server and a registry of Wine for it
//! alone: a Wine that has begun without a screen never finds one. On Windows it is the desktop.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::launch::Launch;
use crate::run::ProgramRun;
use crate::stage::{Crt, Stage};

/// How long a scenario with a window may take: it is used at the pace of a person.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

/// A screen. Programs on it do not see those of other scenarios.
pub struct Screen<'a> {
    stage: &'a Stage,
    server: Option<XServer>,
    crt: Crt,
    _prefix: Option<TempDir>,
}

struct XServer {
    process: Child,
    display: String,
}

impl<'a> Screen<'a> {
    /// A new screen.
    ///
    /// # Panics
    ///
    /// If there is no X server to be had; the message says what to install.
    pub fn new(stage: &'a Stage) -> Screen<'a> {
        let crt = stage.newest_crt();
        let Some(prefix) = &crt.prefix else {
            return Screen { stage, server: None, crt: crt.clone(), _prefix: None };
        };
        let own = prefix_like(prefix);
        let crt = Crt { prefix: Some(own.path().to_owned()), ..crt.clone() };
        Screen { stage, server: Some(XServer::start()), crt, _prefix: Some(own) }
    }

    /// Has `driver`, which is `window_driver.c`, open the launcher's window for `program`, or for
    /// none, and take these `steps` in it. Calls `meeting` at each step `meet`, counted from 1.
    pub fn use_window<'l>(
        &'l self,
        driver: Launch<'l>,
        steps: &[&str],
        program: Option<&str>,
        mut meeting: impl FnMut(usize),
    ) -> ProgramRun {
        let folder = tempfile::tempdir().expect("a scratch folder can be made");
        let file = folder.path().join("steps.txt");
        fs::write(&file, steps.join("\n")).expect("the steps can be written");
        let mut launch = driver.limit(LIMIT).path_arg(&file);
        launch = launch.path_arg(&self.stage.bin.join("allograft.exe"));
        launch = launch.args(&program.into_iter().collect::<Vec<_>>());
        let mut meetings = 0;
        self.on_screen(launch).run_meeting(|_| {
            meetings += 1;
            meeting(meetings);
        })
    }

    /// The launch, on this screen.
    pub fn on_screen<'l>(&'l self, launch: Launch<'l>) -> Launch<'l> {
        match &self.server {
            Some(server) => launch.on(&self.crt).env("DISPLAY", &server.display),
            None => launch,
        }
    }

    /// Takes a picture of the screen. On Windows nothing is done: the screen is the user's.
    ///
    /// # Panics
    ///
    /// If it cannot be taken.
    pub fn take_picture(&self, name: &str) {
        let Some(server) = &self.server else { return };
        let folder = self.stage.programs.parent().expect("the programs lie in a folder");
        let path = folder.join("pictures").join(format!("{name}.png"));
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
        let mut command = Command::new("scrot");
        command.arg("--overwrite").arg(&path).env("DISPLAY", &server.display);
        let taken = command.status().expect("the package scrot is needed: `cargo xtask setup`");
        assert!(taken.success() && path.is_file(), "no picture was taken at {}", path.display());
    }
}

/// A Wine prefix with the files of `prefix` and a registry of its own.
fn prefix_like(prefix: &Path) -> TempDir {
    let own = tempfile::tempdir_in(prefix.parent().expect("it lies in a folder"))
        .expect("a folder for a prefix can be made");
    for entry in fs::read_dir(prefix).expect("the prefix can be read").flatten() {
        let (from, to) = (entry.path(), own.path().join(entry.file_name()));
        if from.is_dir() {
            link(&from, &to);
        } else {
            // What is open while Wine runs elsewhere may be missing by now.
            fs::copy(&from, &to).ok();
        }
    }
    own
}

#[cfg(unix)]
fn link(from: &Path, to: &PathBuf) {
    std::os::unix::fs::symlink(from, to).expect("a link can be made");
}

#[cfg(not(unix))]
fn link(_from: &Path, _to: &PathBuf) {
    unreachable!("there are no Wine prefixes on Windows")
}

impl XServer {
    fn start() -> XServer {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process =
            command.spawn().expect("the package xvfb is needed: `cargo xtask setup` installs it");
        // It writes the number of the display when it is ready.
        let mut number = String::new();
        let output = process.stdout.take().expect("standard output is piped");
        BufReader::new(output).read_line(&mut number).expect("the X server says its number");
        assert!(!number.trim().is_empty(), "the X server found no display number");
        XServer { process, display: format!(":{}", number.trim()) }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        // Programs that are still on the screen end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
