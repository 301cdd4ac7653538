//! What Windows answers to the window: commands are started, and the same functions asked that the
//! commands use.

use super::Opening;
use super::command::CommandLine;
use super::host::{Host, JobState, Programs, RunningProcess};
use super::page::{Choice, Page, Update};
use super::screens::Window;
use super::texts;
use crate::command_line::quoted;
use crate::error::Error;
use crate::injection::StatusPage;
use crate::page_reading::PageReading;
use crate::windows::process::Process;
use crate::windows::task_dialog::{self, Labels};
use crate::windows::{console, process_list, shell, wait_for_first};
use allograft_image::crt::{Crt, CrtKind};
use allograft_image::{Image, ImageFile, check};
use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::HWND;
use windows_sys::Win32::System::Threading::{CREATE_NEW_CONSOLE, CREATE_NO_WINDOW};

/// How long after a command's end its output is waited for: what it has started may hold the pipes
/// open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often processes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Opens the window and stays until the user closes it. Returns the exit code.
pub fn show(opening: &Opening) -> Result<u32, Error> {
    let path = match opening {
        Opening::Program(path) => Some(path.as_path()),
        Opening::Nothing => None,
    };
    let desktop =
        Desktop { owner: ptr::null_mut(), job: None, before: HashSet::new(), looked: None };
    let mut shown = Shown(Window::new(desktop, path));
    let labels = Labels {
        title: texts::TITLE,
        details: texts::DETAILS,
        fewer_details: texts::FEWER_DETAILS,
    };
    task_dialog::show(&mut shown, &labels)?;
    shown.0.close();
    Ok(0)
}

struct Shown(Window<Desktop>);

impl task_dialog::Pages for Shown {
    fn page(&mut self) -> Page {
        self.0.page()
    }

    fn choose(&mut self, owner: HWND, choice: &Choice) -> Option<Update> {
        self.0.host().owner = owner;
        self.0.choose(choice)
    }

    fn tick(&mut self) -> Option<Update> {
        self.0.tick()
    }

    /// Only now: where no window can be opened, the console is still there for the error.
    fn opened(&mut self) {
        console::leave();
    }
}

struct Desktop {
    owner: HWND,
    job: Option<Job>,
    /// The processes that had the module when the job was started.
    before: HashSet<u32>,
    /// When the processes were last looked at.
    looked: Option<Instant>,
}

/// A command that was started.
struct Job {
    child: Child,
    output: Words,
    errors: Words,
    /// When it was seen to have ended.
    ended: Option<(u32, Instant)>,
    /// Whether a program runs by it, which is to go on without the window.
    outlives_window: bool,
}

/// What a stream has brought so far.
#[derive(Default)]
struct Words {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Ends with the stream.
    reader: Option<JoinHandle<()>>,
}

impl Words {
    /// Reads `stream` in a thread of its own.
    fn of(stream: Option<impl Read + Send + 'static>) -> Words {
        let Some(mut stream) = stream else { return Words::default() };
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut part) {
                lock(&read).extend_from_slice(&part[..count]);
            }
        });
        Words { bytes, reader: Some(reader) }
    }

    fn is_open(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.is_finished())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.bytes)).replace('\r', "")
    }
}

/// No thread panics while it has the lock, and the bytes are whole even then.
fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    fn state(&mut self) -> JobState {
        if let (None, Ok(Some(status))) = (self.ended, self.child.try_wait()) {
            let code = status.code().unwrap_or_default().cast_unsigned();
            self.ended = Some((code, Instant::now()));
        }
        let is_open = self.output.is_open() || self.errors.is_open();
        let ended = self.ended.filter(|(_, when)| !is_open || when.elapsed() > LAST_WORDS);
        JobState {
            exit_code: ended.map(|(code, _)| code),
            output: self.output.text(),
            errors: self.errors.text(),
        }
    }
}

impl Desktop {
    /// Whether to look at processes again, which takes more time than a tick has.
    fn may_look(&mut self) -> bool {
        let is_time = self.looked.is_none_or(|when| when.elapsed() >= LOOK_INTERVAL);
        if is_time {
            self.looked = Some(Instant::now());
        }
        is_time
    }
}

impl Host for Desktop {
    fn start(&mut self, command: &CommandLine, folder: &Path, console: bool) -> Result<(), String> {
        let failure = |source| Error::system("start a command", source).to_string();
        let own = env::current_exe().map_err(failure)?;
        self.before = pids_with_module().collect();
        self.looked = None;
        let mut started = if console {
            in_console(&own, command)
        } else {
            let mut hidden = Command::new(&own);
            hidden.args(command.arguments()).creation_flags(CREATE_NO_WINDOW);
            hidden.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            hidden
        };
        let mut child = started.current_dir(folder).spawn().map_err(failure)?;
        self.job = Some(Job {
            output: Words::of(child.stdout.take()),
            errors: Words::of(child.stderr.take()),
            child,
            ended: None,
            outlives_window: command.runs_a_program(),
        });
        Ok(())
    }

    fn job(&mut self) -> JobState {
        let none = || JobState { exit_code: Some(1), output: String::new(), errors: String::new() };
        self.job.as_mut().map_or_else(none, Job::state)
    }

    fn stop(&mut self) {
        if let Some(mut job) = self.job.take() {
            // It has ended if it cannot be ended. What it measures ends with it.
            let _ = job.child.kill();
            let _ = job.child.wait();
        }
    }

    fn close(&mut self) {
        let Some(mut job) = self.job.take() else { return };
        if !job.outlives_window {
            let _ = job.child.kill();
        }
        // The program may write to streams that this process reads; in a console it does not.
        if job.errors.is_open() || !job.outlives_window {
            let _ = job.child.wait();
        }
    }

    fn programs(&mut self) -> Programs {
        let mut programs = Programs::default();
        let own = std::process::id();
        for (pid, name) in process_list::all().unwrap_or_default() {
            let Ok(process) = Process::observed(pid) else {
                programs.hidden += 1;
                continue;
            };
            if pid == own || process.check_reachable().is_err() {
                continue;
            }
            let reading = StatusPage::read_of(&process).ok().flatten();
            let path = process.image_path().unwrap_or_default();
            if reading.is_none() && !could_have_module(pid, &path) {
                continue;
            }
            programs.found.push(RunningProcess { pid, name, path, reading });
        }
        programs.found.sort_by_key(|process| process.reading.is_none());
        programs
    }

    fn reading(&mut self, pid: u32) -> Result<Option<PageReading>, String> {
        let Ok(process) = Process::observed(pid) else { return Ok(None) };
        let has_ended = wait_for_first(&[process.handle()], Some(Duration::ZERO));
        if !matches!(has_ended, Ok(None)) {
            return Ok(None);
        }
        StatusPage::read_of(&process).map_err(|error| error.to_string())
    }

    fn started(&mut self, path: &Path) -> Option<u32> {
        if !self.may_look() {
            return None;
        }
        let name = path.file_name()?;
        let mut new = pids_with_module().filter(|pid| !self.before.contains(pid));
        new.find(|pid| {
            let path = Process::observed(*pid).ok().and_then(|process| process.image_path());
            path.is_some_and(|path| {
                path.file_name().is_some_and(|file| file.eq_ignore_ascii_case(name))
            })
        })
    }

    fn choose_program(&mut self) -> Option<PathBuf> {
        let filters = [(texts::PROGRAM_FILES, "*.exe;*.dll"), (texts::ALL_FILES, "*.*")];
        shell::choose_file(self.owner, texts::CHOOSE, &filters)
    }

    fn open(&mut self, path: &Path) -> Result<(), String> {
        shell::open(self.owner, path).map_err(|error| error.to_string())
    }

    fn elevate(&mut self, path: &Path) -> bool {
        let Ok(own) = env::current_exe() else { return false };
        let argument = quoted(&path.to_string_lossy());
        shell::start_as_administrator(self.owner, &own, &argument).is_ok()
    }

    fn page_for(&self, name: &str) -> PathBuf {
        env::temp_dir().join(format!("allograft-{name}.html"))
    }
}

/// A command that runs `command` in a console window, which stays when the program has ended.
fn in_console(own: &Path, command: &CommandLine) -> Command {
    let shell = env::var_os("ComSpec").unwrap_or_else(|| OsString::from("cmd.exe"));
    let mut line = quoted(&own.to_string_lossy());
    for word in command.arguments() {
        line.push(' ');
        line.push_str(&quoted(&word.to_string_lossy()));
    }
    let mut started = Command::new(shell);
    // With /s the shell takes off the outer quotation marks and leaves the others as they are.
    started.raw_arg(format!("/s /k \"{line}\"")).creation_flags(CREATE_NEW_CONSOLE);
    started
}

/// The processes of this session that have the module.
fn pids_with_module() -> impl Iterator<Item = u32> {
    let processes = process_list::all().unwrap_or_default().into_iter();
    processes.map(|(pid, _)| pid).filter(|pid| {
        let process = Process::observed(*pid).ok();
        process.is_some_and(|process| matches!(StatusPage::read_of(&process), Ok(Some(_))))
    })
}

/// Whether the module could be put into the process: this user may do that, it is no part of
/// Windows, and it allocates from Windows' heaps itself or has loaded a C runtime that is taken
/// over. `msvcrt.dll` alone is not the program's own.
fn could_have_module(pid: u32, path: &Path) -> bool {
    let windows = env::var_os("SystemRoot").map(PathBuf::from);
    let is_part_of_windows = windows.is_some_and(|windows| is_below(path, &windows));
    if is_part_of_windows {
        return false;
    }
    let Ok(process) = Process::open(pid) else { return false };
    let allocates_itself = || {
        let file = ImageFile::open(path)?;
        check::allocates(&Image::parse(file.data())?)
    };
    let has_runtime = || {
        process.loaded_modules().iter().any(|name| {
            Crt::from_module(name).is_some_and(|crt| crt.taken_over && crt.kind != CrtKind::System)
        })
    };
    process.machine().is_taken_over() && (has_runtime() || allocates_itself().unwrap_or(false))
}

fn is_below(path: &Path, folder: &Path) -> bool {
    let [path, folder] = [path, folder].map(|path| path.to_string_lossy().to_lowercase());
    path.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('\\'))
}
