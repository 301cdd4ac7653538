//! The window as a state machine: which page follows which choice. It knows the system by [`Host`]
//! alone, so that it is tested anywhere.

use super::command::Action;
use super::host::{Host, JobState};
use super::page::{Choice, Page, Update};
use super::pages::{self, Screen, Task};
use super::subject::Subject;
use std::path::Path;

pub struct Window<H> {
    host: H,
    subject: Option<Subject>,
    screen: Screen,
    /// The lines of the text that is shown: another number of them needs another page.
    lines: usize,
}

impl<H: Host> Window<H> {
    /// The window for the program at `path`, or for none.
    pub fn new(host: H, path: Option<&Path>) -> Window<H> {
        let mut window = Window { host, subject: None, screen: Screen::Welcome, lines: 0 };
        if let Some(path) = path {
            window.look_at(path);
        }
        window
    }

    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// The user has closed the window.
    pub fn close(&mut self) {
        self.host.close();
    }

    fn look_at(&mut self, path: &Path) {
        self.screen = match Subject::read(path) {
            Ok(subject) => {
                self.subject = Some(subject);
                Screen::Program
            }
            Err(reason) => Screen::NotAProgram { path: path.to_owned(), reason },
        };
    }

    /// The page to show.
    pub fn page(&mut self) -> Page {
        let name = self.subject.as_ref().map(Subject::name).unwrap_or_default();
        let measurements = self.host.page_for(&name);
        let page = pages::page(&self.screen, self.subject.as_ref(), &measurements);
        self.lines = page.text.lines().count();
        page
    }

    /// What follows when the user chooses this.
    pub fn choose(&mut self, choice: &Choice) -> Option<Update> {
        match choice {
            Choice::Do(action) => self.act(action),
            Choice::ChooseProgram => {
                let path = self.host.choose_program()?;
                self.look_at(&path);
            }
            Choice::Back => self.back(),
            Choice::ListPrograms => {
                self.screen = Screen::Programs { list: self.host.programs(), first: 0 };
            }
            Choice::ListMore => {
                if let Screen::Programs { list, first } = &mut self.screen {
                    *first = (*first + pages::PROGRAMS_PER_PAGE) % list.found.len().max(1);
                }
            }
            Choice::Show(pid) => self.show(*pid),
            Choice::Open(path) => {
                if let Err(reason) = self.host.open(path) {
                    self.screen = Screen::Failed { reason };
                } else {
                    return None;
                }
            }
            Choice::Elevate => {
                let path = self.subject.as_ref()?.path.clone();
                return self.host.elevate(&path).then_some(Update::Close);
            }
            Choice::Stop => {
                self.host.stop();
                self.back();
            }
        }
        Some(Update::Page)
    }

    fn act(&mut self, action: &Action) {
        let path = match (&self.screen, &self.subject) {
            (Screen::Process { subject: Some(subject), .. }, _) => subject.path.clone(),
            (_, Some(subject)) => subject.path.clone(),
            (_, None) => return,
        };
        let is_run = *action == Action::Run;
        let console = is_run && self.subject.as_ref().is_some_and(pages::is_console_program);
        let folder = path.parent().unwrap_or(Path::new("."));
        let started = self.host.start(&action.command(&path), folder, console);
        let task = Task { action: action.clone(), path };
        self.screen = match started {
            Ok(()) if is_run => Screen::Running { task, pid: None, reading: None },
            Ok(()) => Screen::Job { task },
            Err(reason) => Screen::Failed { reason },
        };
    }

    /// To the program, looked at anew: a command may have changed it.
    fn back(&mut self) {
        match self.subject.take() {
            Some(subject) => self.look_at(&subject.path),
            None => self.screen = Screen::Welcome,
        }
    }

    fn show(&mut self, pid: u32) {
        let Screen::Programs { list, .. } = &mut self.screen else { return };
        let Some(index) = list.found.iter().position(|process| process.pid == pid) else { return };
        let process = list.found.swap_remove(index);
        let subject = Subject::read(&process.path).ok().map(Box::new);
        let (name, reading) = (process.name, process.reading);
        self.screen = Screen::Process { pid, name, subject, reading, ended: false };
    }

    /// What changed since the last time. Called a few times a second.
    pub fn tick(&mut self) -> Option<Update> {
        match &mut self.screen {
            Screen::Job { task } => {
                let job = self.host.job();
                if job.exit_code.is_some() {
                    let task = task.clone();
                    self.screen = after(task, job, &mut self.host);
                    return Some(Update::Page);
                }
                let Action::Bench(_) = task.action else { return None };
                let (text, meter) = pages::progress(&job.errors)?;
                Some(Update::Text { text, meter })
            }
            Screen::Running { task, pid, reading } => {
                let job = self.host.job();
                if job.exit_code.is_some() {
                    self.screen = Screen::Outcome { task: task.clone(), job };
                    return Some(Update::Page);
                }
                if pid.is_none() {
                    *pid = self.host.started(&task.path);
                }
                let new = self.host.reading((*pid)?).ok().flatten()?;
                let is_first = reading.replace(new).is_none();
                self.text_or_page(is_first)
            }
            Screen::Process { pid, reading, ended, .. } => {
                if *ended || reading.is_none() {
                    return None;
                }
                match self.host.reading(*pid) {
                    Ok(Some(new)) => *reading = Some(new),
                    Ok(None) | Err(_) => *ended = true,
                }
                let is_other_page = *ended;
                self.text_or_page(is_other_page)
            }
            _ => None,
        }
    }

    /// A change of the text alone keeps the keyboard's focus where it is.
    fn text_or_page(&mut self, is_other_page: bool) -> Option<Update> {
        let shown = self.lines;
        let page = self.page();
        if is_other_page || self.lines != shown {
            return Some(Update::Page);
        }
        Some(Update::Text { text: page.text, meter: page.meter })
    }
}

/// Where the end of `task` leads. A process that has just got the module is shown as it is now.
fn after(task: Task, job: JobState, host: &mut impl Host) -> Screen {
    let Action::Inject(pid) = task.action else { return Screen::Outcome { task, job } };
    match host.reading(pid) {
        Ok(Some(reading)) if job.exit_code == Some(0) => {
            let name = reading.name.clone();
            Screen::Process { pid, name, subject: None, reading: Some(reading), ended: false }
        }
        _ => Screen::Outcome { task, job },
    }
}
