//! The page for each place where the user can be.

use super::command::{Action, CommandLine};
use super::host::{JobState, Programs, RunningProcess};
use super::page::{Choice, Icon, Link, Meter, Page};
use super::subject::{Subject, Verdict};
use super::texts;
use crate::check;
use crate::output::{Palette, printable};
use crate::page_reading::PageReading;
use crate::page_text::details;
use allograft_image::Subsystem;
use allograft_image::check::Route;
use std::path::{Path, PathBuf};

/// How many running programs a page lists: as many as a small screen has room for.
pub const PROGRAMS_PER_PAGE: usize = 6;

/// What `bench --progress` puts before its lines.
const PROGRESS: &str = "progress ";

/// What the launcher puts before its lines on standard error.
const OWN_NAME: &str = "allograft: ";

/// A command that the window has started.
#[derive(Clone, Debug)]
pub struct Task {
    pub action: Action,
    /// The program that it is done to.
    pub path: PathBuf,
}

impl Task {
    fn command(&self) -> String {
        self.action.command(&self.path).to_string()
    }

    fn name(&self) -> String {
        printable(&self.path.file_name().unwrap_or_default().to_string_lossy())
    }
}

/// Where the user is.
pub enum Screen {
    Welcome,
    NotAProgram {
        path: PathBuf,
        reason: String,
    },
    Program,
    /// A command runs.
    Job {
        task: Task,
    },
    /// The program runs, by `run`.
    Running {
        task: Task,
        pid: Option<u32>,
        reading: Option<PageReading>,
    },
    /// A command has ended.
    Outcome {
        task: Task,
        job: JobState,
    },
    /// Something else than a command failed.
    Failed {
        reason: String,
    },
    Programs {
        list: Programs,
        first: usize,
    },
    /// One process; `subject` is its program.
    Process {
        pid: u32,
        name: String,
        subject: Option<Box<Subject>>,
        reading: Option<PageReading>,
        ended: bool,
    },
}

/// The page for `screen`. `subject` is the program that the window is about, and `measurements`
/// where the page of a measurement of it goes.
pub fn page(screen: &Screen, subject: Option<&Subject>, measurements: &Path) -> Page {
    match (screen, subject) {
        (Screen::NotAProgram { path, reason }, _) => not_a_program(path, reason),
        (Screen::Failed { reason }, _) => failed(reason, subject),
        (Screen::Programs { list, first }, _) => programs(list, *first),
        (Screen::Process { pid, name, subject, reading, ended }, _) => {
            process(*pid, name, subject.as_deref(), reading.as_ref(), *ended)
        }
        (Screen::Job { task }, _) => job(task),
        (Screen::Running { task, reading, .. }, _) => running(task, reading.as_ref()),
        (Screen::Outcome { task, job }, _) => outcome(task, job),
        (Screen::Program, Some(subject)) => program(subject, measurements),
        (Screen::Welcome, _) | (Screen::Program, None) => welcome(),
    }
}

/// Whether the program needs a console to show what it prints.
pub fn is_console_program(subject: &Subject) -> bool {
    subject.report.subsystem == Subsystem::Console
}

fn link(choice: Choice, title: impl Into<String>, note: impl Into<String>) -> Link {
    Link { choice, title: title.into(), note: note.into() }
}

fn back() -> Link {
    link(Choice::Back, texts::BACK, "")
}

fn new(icon: Icon, headline: impl Into<String>, text: impl Into<String>) -> Page {
    Page {
        icon,
        headline: headline.into(),
        text: text.into(),
        details: None,
        meter: Meter::None,
        links: Vec::new(),
        command: String::new(),
    }
}

fn welcome() -> Page {
    Page {
        links: vec![
            link(Choice::ChooseProgram, texts::CHOOSE, texts::CHOOSE_NOTE),
            link(Choice::ListPrograms, texts::LIST, texts::LIST_NOTE),
        ],
        command: CommandLine::help().to_string(),
        ..new(Icon::Information, texts::WELCOME, texts::WELCOME_TEXT)
    }
}

fn not_a_program(path: &Path, reason: &str) -> Page {
    let is_shortcut = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("lnk"));
    let text = match (is_shortcut, path.is_dir()) {
        (true, _) => texts::SHORTCUT.to_owned(),
        (_, true) => texts::FOLDER.to_owned(),
        _ => texts::sentence(reason),
    };
    Page {
        links: vec![
            link(Choice::ChooseProgram, texts::CHOOSE, texts::CHOOSE_NOTE),
            link(Choice::ListPrograms, texts::LIST, texts::LIST_NOTE),
        ],
        command: CommandLine::check(path).to_string(),
        ..new(Icon::Error, texts::not_a_program(path), text)
    }
}

fn failed(reason: &str, subject: Option<&Subject>) -> Page {
    let command = subject.map_or_else(CommandLine::help, |it| CommandLine::check(&it.path));
    Page {
        links: vec![back()],
        command: command.to_string(),
        ..new(Icon::Error, texts::FAILED, texts::sentence(reason))
    }
}

/// What `check` finds, and what can be done.
fn program(subject: &Subject, measurements: &Path) -> Page {
    let name = printable(&subject.name());
    let (icon, headline) = match subject.verdict() {
        Verdict::Works => (Icon::Information, texts::works(&name)),
        Verdict::Installed => (Icon::Information, texts::installed(&name)),
        Verdict::WillNotWork => (Icon::Error, texts::will_not_work(&name)),
        Verdict::Guarded => (Icon::Warning, texts::guarded(&name)),
    };
    let mut links = offers(subject, measurements);
    let undos = undos(subject);
    if !subject.may_write && (!links.is_empty() || !undos.is_empty()) {
        let note = texts::elevate_note(subject.folder());
        links.push(link(Choice::Elevate, texts::ELEVATE, note));
    } else {
        links.extend(undos);
    }
    links.push(link(Choice::ChooseProgram, texts::CHOOSE_OTHER, ""));
    links.push(link(Choice::ListPrograms, texts::LIST, ""));
    Page {
        details: Some(texts::without_columns(&check::lines_of(&subject.report))),
        links,
        command: CommandLine::check(&subject.path).to_string(),
        ..new(icon, headline, texts::sentence(&subject.report.verdict.reason))
    }
}

/// What brings mimalloc to the program; nothing if it does not work, or may cost an account.
fn offers(subject: &Subject, measurements: &Path) -> Vec<Link> {
    let verdict = subject.verdict();
    if matches!(verdict, Verdict::WillNotWork | Verdict::Guarded) {
        return Vec::new();
    }
    let mut links = Vec::new();
    let mut offer =
        |action, title: &str, note: String| links.push(link(Choice::Do(action), title, note));
    let report = &subject.report;
    let is_program = !report.is_dll;
    if verdict == Verdict::Installed {
        if is_program {
            offer(Action::Run, texts::RUN_AS_IT_IS, String::new());
        }
        return links;
    }
    if is_program && report.verdict.route == Route::Run {
        offer(Action::Run, texts::RUN, texts::RUN_NOTE.to_owned());
    }
    if subject.may_write && subject.copy.is_none() {
        let module = report.machine.module_name().unwrap_or_default();
        if let Some(name) = subject.proxy {
            let note = texts::proxy_note(name, module, subject.folder());
            offer(Action::Proxy(name), texts::PROXY, note);
        }
        let note = texts::patch_note(&subject.copy_path(), module);
        offer(Action::Patch, texts::PATCH, note);
    }
    if is_program {
        let action = Action::Bench(measurements.to_owned());
        offer(action, texts::BENCH, texts::BENCH_NOTE.to_owned());
    }
    links
}

/// What takes back what was done to the program. Offered whatever the verdict.
fn undos(subject: &Subject) -> Vec<Link> {
    let undo = |action, note| link(Choice::Do(action), texts::UNDO, note);
    let mut links = Vec::new();
    if let Some(module) = &subject.report.patched_with {
        links.push(undo(Action::UndoPatch, texts::undo_patch_note(module)));
    } else if let Some(copy) = &subject.copy {
        links.push(undo(Action::UndoPatch, texts::undo_copy_note(copy)));
    }
    let proxies = subject.proxies.iter();
    links.extend(proxies.map(|name| undo(Action::RemoveProxy(name), texts::undo_proxy_note(name))));
    links
}

fn job(task: &Task) -> Page {
    let command = task.command();
    if let Action::Bench(_) = task.action {
        return Page {
            meter: Meter::Share(0.0),
            links: vec![link(Choice::Stop, texts::STOP, texts::STOP_NOTE)],
            command,
            ..new(
                Icon::Information,
                texts::measuring(&task.name()),
                format!("{}\n{}", texts::WORKING_TEXT, texts::MEASURING_TEXT),
            )
        };
    }
    Page {
        meter: Meter::Busy,
        links: vec![link(Choice::Stop, texts::STOP, "")],
        command,
        ..new(Icon::Information, texts::WORKING, texts::WORKING_TEXT)
    }
}

/// The latest line that `bench --progress` has printed, and how far it is; none before the first.
pub fn progress(errors: &str) -> Option<(String, Meter)> {
    let line = errors.lines().rev().find_map(|line| line.strip_prefix(PROGRESS))?;
    let (counts, place) = line.split_once(' ')?;
    let (done, all) = counts.split_once('/')?;
    let (done, all): (f64, f64) = (done.parse().ok()?, all.parse().ok()?);
    let text = format!("{}\n{}", texts::sentence(&printable(place)), texts::MEASURING_TEXT);
    Some((text, Meter::Share((done / all.max(1.0)).clamp(0.0, 1.0))))
}

fn running(task: &Task, reading: Option<&PageReading>) -> Page {
    let (name, command) = (task.name(), task.command());
    let Some(reading) = reading else {
        let text = format!("{}\n{}", texts::STARTING_TEXT, texts::RUNNING_ON);
        return Page {
            meter: Meter::Busy,
            links: vec![back()],
            command,
            ..new(Icon::Information, texts::starting(&name), text)
        };
    };
    let headline = match reading.is_on_mimalloc() {
        true => texts::process_on_mimalloc(&name),
        false => texts::running(&name),
    };
    Page {
        links: vec![back()],
        command,
        ..new(
            Icon::Information,
            headline,
            format!("{}\n{}", status_lines(reading), texts::RUNNING_ON),
        )
    }
}

fn outcome(task: &Task, job: &JobState) -> Page {
    let command = task.command();
    let errors = words_of(&job.errors);
    let exit_code = job.exit_code.unwrap_or_default();
    let mut page = match &task.action {
        Action::Run if is_own_failure(exit_code, &job.errors) => {
            let mut page = new(Icon::Error, texts::FAILED, errors);
            page.links.push(link(Choice::Elevate, texts::ELEVATE, texts::ELEVATE_TO_RUN));
            page
        }
        Action::Run => {
            let text = [texts::exit_code(exit_code), errors].join("\n");
            new(Icon::Information, texts::ended(&task.name()), text.trim())
        }
        _ if exit_code != 0 => {
            let text = if errors.is_empty() { texts::NO_WORDS.to_owned() } else { errors };
            new(Icon::Error, texts::FAILED, text)
        }
        Action::Bench(path) => {
            let verdict = job.output.lines().rfind(|line| !line.trim().is_empty());
            let verdict = texts::sentence(&printable(verdict.unwrap_or_default()));
            let text = [verdict, texts::without_bars(&job.output)].join("\n");
            let mut page = new(Icon::Information, texts::MEASURED, text.trim());
            page.links.push(link(
                Choice::Open(path.clone()),
                texts::OPEN_PAGE,
                texts::open_page_note(path),
            ));
            page
        }
        _ => {
            let said = [texts::without_columns(&job.output), errors].join("\n");
            new(Icon::Information, texts::DONE, said.trim())
        }
    };
    page.links.push(back());
    Page { command, ..page }
}

/// Whether `run` failed, and not the program that it ran, which may have the same exit codes.
fn is_own_failure(exit_code: u32, errors: &str) -> bool {
    matches!(exit_code, 125..=127) && errors.lines().any(|line| line.starts_with(OWN_NAME))
}

/// What a command printed on standard error, without the lines of its progress and its own name.
fn words_of(errors: &str) -> String {
    let lines = errors.lines().filter(|line| !line.starts_with(PROGRESS));
    let lines = lines.map(|line| printable(line.strip_prefix(OWN_NAME).unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

fn programs(list: &Programs, first: usize) -> Page {
    let on_mimalloc = |process: &&RunningProcess| {
        process.reading.as_ref().is_some_and(PageReading::is_on_mimalloc)
    };
    let count = list.found.iter().filter(on_mimalloc).count();
    let could = list.found.iter().filter(|process| process.reading.is_none()).count();
    let mut text = match list.found.is_empty() {
        true => texts::NO_PROGRAMS.to_owned(),
        false => texts::programs_text(count, could),
    };
    if list.hidden > 0 {
        text = format!("{text}\n{}", texts::hidden(list.hidden));
    }
    let shown = list.found.iter().skip(first).take(PROGRAMS_PER_PAGE);
    let mut links: Vec<Link> = shown.map(link_to).collect();
    if list.found.len() > PROGRAMS_PER_PAGE {
        links.push(link(Choice::ListMore, texts::MORE, ""));
    }
    links.push(back());
    Page {
        links,
        command: CommandLine::status_of_all().to_string(),
        ..new(Icon::Information, texts::PROGRAMS, text)
    }
}

fn link_to(process: &RunningProcess) -> Link {
    let state = match &process.reading {
        Some(reading) if reading.is_on_mimalloc() => texts::ON_MIMALLOC,
        Some(_) => texts::HAS_MODULE,
        None => texts::COULD_BE,
    };
    link(
        Choice::Show(process.pid),
        printable(&process.name),
        texts::process_note(process.pid, state),
    )
}

fn process(
    pid: u32,
    name: &str,
    subject: Option<&Subject>,
    reading: Option<&PageReading>,
    ended: bool,
) -> Page {
    let name = printable(name);
    if ended {
        let command = CommandLine::status(pid).to_string();
        return Page {
            links: vec![link(Choice::ListPrograms, texts::LIST, ""), back()],
            command,
            ..new(Icon::Information, texts::ended(&name), "")
        };
    }
    if let Some(reading) = reading {
        return process_with_module(pid, &name, reading);
    }
    let mut page = match subject {
        Some(subject) if subject.verdict() == Verdict::Guarded => new(
            Icon::Warning,
            texts::guarded(&name),
            texts::sentence(&subject.report.verdict.reason),
        ),
        // A program that is patched, or has a proxy, has the module by the time that it runs, or
        // was started before that.
        Some(subject) if subject.report.verdict.works => {
            let reason = texts::sentence(&subject.report.verdict.reason);
            let mut page = new(Icon::Information, texts::process_on_own_heap(&name), reason);
            let action = Action::Inject(pid);
            page.links.push(link(Choice::Do(action), texts::INJECT, texts::INJECT_NOTE));
            page
        }
        Some(subject) => new(
            Icon::Error,
            texts::will_not_work(&name),
            texts::sentence(&subject.report.verdict.reason),
        ),
        None => new(Icon::Error, texts::process_on_own_heap(&name), texts::NO_FILE),
    };
    page.links.extend([link(Choice::ListPrograms, texts::LIST, ""), back()]);
    let is_offered = page.links.iter().any(|link| matches!(link.choice, Choice::Do(_)));
    let command = match subject {
        Some(subject) if is_offered => Action::Inject(pid).command(&subject.path),
        Some(subject) => CommandLine::check(&subject.path),
        None => CommandLine::status(pid),
    };
    Page { command: command.to_string(), ..page }
}

fn process_with_module(pid: u32, name: &str, reading: &PageReading) -> Page {
    let headline = match reading.is_on_mimalloc() {
        true => texts::process_on_mimalloc(name),
        false => texts::process_on_own_heap(name),
    };
    let left = reading.old_heap.zip(reading.outstanding);
    let mut text = status_lines(reading);
    if left.is_some() {
        text = format!("{text}\n{}", texts::DRAINING);
    }
    Page {
        meter: left.map_or(Meter::None, |(old, left)| {
            Meter::Share(left.bytes as f64 / (old.bytes as f64).max(1.0))
        }),
        links: vec![link(Choice::ListPrograms, texts::LIST, ""), back()],
        command: CommandLine::status(pid).to_string(),
        ..new(Icon::Information, headline, text)
    }
}

/// What `status` prints of a process, without the first line, which names it.
fn status_lines(reading: &PageReading) -> String {
    let text = details(reading, &Palette::PLAIN);
    texts::without_columns(text.split_once('\n').map_or("", |(_, rest)| rest))
}
