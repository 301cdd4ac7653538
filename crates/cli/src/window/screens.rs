//! The window as a state machine: which page follows which choice. It knows the system by [`Host`]
//! alone, so that it is tested anywhere.

use super::command::Action;
use super::host::{Host, JobState};
use super::page::{Choice, Page, Update};
use super::pages::{self, Screen, Task};
use super::subject::Subject;
use super::texts;
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
        let page = fitted(pages::page(&self.screen, self.subject.as_ref(), &measurements));
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
                    let next = *first + pages::PROGRAMS_PER_PAGE;
                    *first = if next < list.found.len() { next } else { 0 };
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

/// The page with paths that fit into it; where one is shortened, the details have it whole.
fn fitted(page: Page) -> Page {
    let (text, command) = (texts::fitting(&page.text), texts::fitting(&page.command));
    let mut details: Vec<&str> = page.details.as_deref().into_iter().collect();
    if text != page.text {
        details.insert(0, &page.text);
    }
    if command != page.command {
        details.push(&page.command);
    }
    let details = (!details.is_empty()).then(|| details.join("\n"));
    Page { text, command, details, ..page }
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

#[cfg(test)]
mod tests {
    use super::super::command::CommandLine;
    use super::super::host::{Programs, RunningProcess};
    use super::super::page::{Icon, Meter};
    use super::*;
    use crate::build_image::ImageSpec;
    use crate::cli::Cli;
    use crate::page_reading::PageReading;
    use crate::page_reading::sample::{self, add_runtime, count_old_heap};
    use allograft_inject::State;
    use clap::Parser;
    use std::ffi::OsString;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A system that does what the test says.
    #[derive(Default)]
    struct Fake {
        /// The commands that were started, and whether each got a console.
        started: Vec<(String, bool)>,
        exit_code: Option<u32>,
        output: String,
        errors: String,
        reading: Option<PageReading>,
        processes: u32,
        stopped: bool,
        opened: Vec<PathBuf>,
    }

    impl Host for Fake {
        fn start(&mut self, command: &CommandLine, _: &Path, console: bool) -> Result<(), String> {
            self.started.push((command.to_string(), console));
            Ok(())
        }
        fn job(&mut self) -> JobState {
            let (output, errors) = (self.output.clone(), self.errors.clone());
            JobState { exit_code: self.exit_code, output, errors }
        }
        fn stop(&mut self) {
            self.stopped = true;
        }
        fn close(&mut self) {}
        fn programs(&mut self) -> Programs {
            let process = |pid| RunningProcess {
                pid,
                name: format!("game{pid}.exe"),
                path: PathBuf::from("missing.exe"),
                reading: None,
            };
            Programs { found: (1..=self.processes).map(process).collect(), hidden: 3 }
        }
        fn reading(&mut self, _: u32) -> Result<Option<PageReading>, String> {
            Ok(self.reading.take())
        }
        fn started(&mut self, _: &Path) -> Option<u32> {
            self.reading.is_some().then_some(42)
        }
        fn choose_program(&mut self) -> Option<PathBuf> {
            None
        }
        fn open(&mut self, path: &Path) -> Result<(), String> {
            self.opened.push(path.to_owned());
            Ok(())
        }
        fn elevate(&mut self, _: &Path) -> bool {
            true
        }
        fn page_for(&self, name: &str) -> PathBuf {
            PathBuf::from(format!("{name}.html"))
        }
    }

    fn game(spec: &ImageSpec) -> (TempDir, Window<Fake>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("game.exe");
        fs::write(&path, spec.build()).unwrap();
        let window = Window::new(Fake::default(), Some(&path));
        (folder, window)
    }

    fn titles(page: &Page) -> Vec<&str> {
        page.links.iter().map(|link| link.title.as_str()).collect()
    }

    /// All actions that the page offers; each must be a command of the command line.
    fn actions(window: &mut Window<Fake>) -> Vec<Action> {
        let path = window.subject.as_ref().unwrap().path.clone();
        let mut actions = Vec::new();
        for link in window.page().links {
            let Choice::Do(action) = link.choice else { continue };
            let command = action.command(&path);
            let words = [&[OsString::from("allograft")], command.arguments()].concat();
            assert!(Cli::try_parse_from(words).is_ok(), "{command}");
            actions.push(action);
        }
        actions
    }

    fn on_mimalloc(left: u64) -> PageReading {
        let mut page = sample::page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [10, 0, 1, 2], 40);
        count_old_heap(&mut page, 100, 1000);
        *page.status.freed_bytes.get_mut() = 1000 - left;
        PageReading::new(&page, "game.exe")
    }

    #[test]
    fn a_program_that_works_can_be_run_made_permanent_and_measured() {
        let (_folder, mut window) = game(&ImageSpec::default());
        let page = window.page();
        assert_eq!(page.icon, Icon::Information);
        assert_eq!(page.headline, texts::works("game.exe"));
        assert!(page.command.starts_with("allograft check "), "{}", page.command);
        assert!(page.details.unwrap().contains("C runtime: ucrtbase.dll"));
        let bench = Action::Bench(PathBuf::from("game.exe.html"));
        assert_eq!(actions(&mut window), [Action::Run, Action::Patch, bench]);
    }

    #[test]
    fn a_program_that_will_not_work_is_left_alone() {
        let spec = ImageSpec { imports: Vec::new(), ..ImageSpec::default() };
        let (_folder, mut window) = game(&spec);
        let page = window.page();
        assert_eq!((page.icon, page.headline), (Icon::Error, texts::will_not_work("game.exe")));
        assert!(actions(&mut window).is_empty());
    }

    #[test]
    fn a_guarded_program_is_left_alone_and_what_was_done_to_it_can_be_undone() {
        let (folder, mut window) = game(&ImageSpec::default());
        fs::create_dir(folder.path().join("EasyAntiCheat")).unwrap();
        window.choose(&Choice::Back);
        let page = window.page();
        assert_eq!((page.icon, page.headline), (Icon::Warning, texts::guarded("game.exe")));
        assert!(actions(&mut window).is_empty());
        let path = folder.path().join("game.exe");
        window.subject.as_mut().unwrap().copy = Some(path);
        assert_eq!(actions(&mut window), [Action::UndoPatch]);
    }

    #[test]
    fn without_rights_to_the_folder_nothing_is_offered_that_writes_there() {
        let (_folder, mut window) = game(&ImageSpec::default());
        window.subject.as_mut().unwrap().may_write = false;
        let bench = Action::Bench(PathBuf::from("game.exe.html"));
        assert_eq!(actions(&mut window), [Action::Run, bench]);
        assert!(titles(&window.page()).contains(&texts::ELEVATE));
        window.subject.as_mut().unwrap().copy = Some("copy".into());
        assert!(!actions(&mut window).contains(&Action::UndoPatch));
        assert_eq!(window.choose(&Choice::Elevate), Some(Update::Close));
    }

    #[test]
    fn a_command_is_shown_with_what_it_printed_or_why_it_failed() {
        for (code, icon, said) in [(0, Icon::Information, "patched"), (125, Icon::Error, "no room")]
        {
            let (_folder, mut window) = game(&ImageSpec::default());
            assert_eq!(window.choose(&Choice::Do(Action::Patch)), Some(Update::Page));
            assert_eq!(window.page().meter, Meter::Busy);
            assert_eq!(window.tick(), None);
            window.host.exit_code = Some(code);
            window.host.output = "game.exe: patched\n".to_owned();
            window.host.errors =
                if code == 0 { String::new() } else { "allograft: no room\n".to_owned() };
            assert_eq!(window.tick(), Some(Update::Page));
            let page = window.page();
            assert_eq!(page.icon, icon);
            assert!(page.text.contains(said), "{}", page.text);
            assert!(page.command.starts_with("allograft patch --with-module "));
            window.choose(&Choice::Back);
            assert_eq!(window.page().headline, texts::works("game.exe"));
        }
    }

    #[test]
    fn a_program_that_runs_is_shown_until_it_ends() {
        let (_folder, mut window) = game(&ImageSpec::default());
        window.choose(&Choice::Do(Action::Run));
        assert_eq!(window.page().headline, texts::starting("game.exe"));
        assert_eq!(window.tick(), None);
        window.host.reading = Some(on_mimalloc(500));
        assert_eq!(window.tick(), Some(Update::Page));
        assert_eq!(window.page().headline, texts::process_on_mimalloc("game.exe"));
        window.host.reading = Some(on_mimalloc(200));
        let update = window.tick();
        assert!(matches!(&update, Some(Update::Text { text, .. }) if text.contains("800 bytes")));
        window.host.exit_code = Some(7);
        assert_eq!(window.tick(), Some(Update::Page));
        assert!(window.page().text.contains("exit code is 7"));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_no_program_that_has_ended() {
        let (_folder, mut window) = game(&ImageSpec::default());
        window.choose(&Choice::Do(Action::Run));
        window.host.exit_code = Some(126);
        window.tick();
        assert_eq!(window.page().headline, texts::ended("game.exe"));
        window.host.errors = "allograft: game.exe cannot be executed: no rights\n".to_owned();
        window.choose(&Choice::Do(Action::Run));
        window.tick();
        let page = window.page();
        assert_eq!((page.icon, page.headline.as_str()), (Icon::Error, texts::FAILED));
        assert_eq!(page.text, "game.exe cannot be executed: no rights");
        assert!(titles(&page).contains(&texts::ELEVATE));
    }

    #[test]
    fn a_console_program_gets_a_console_and_no_other_does() {
        for subsystem in [2u8, 3] {
            let (folder, mut window) = game(&ImageSpec::default());
            let path = folder.path().join("game.exe");
            let mut image = fs::read(&path).unwrap();
            let headers = u32::from_le_bytes(image[0x3C..0x40].try_into().unwrap()) as usize;
            // `Subsystem` of the optional header.
            image[headers + 24 + 68] = subsystem;
            fs::write(&path, image).unwrap();
            window.choose(&Choice::Back);
            window.choose(&Choice::Do(Action::Run));
            assert_eq!(window.host.started[0].1, subsystem == 3);
        }
    }

    #[test]
    fn a_measurement_shows_how_far_it_is_and_then_its_verdict_and_its_page() {
        let (_folder, mut window) = game(&ImageSpec::default());
        let action = Action::Bench(PathBuf::from("game.exe.html"));
        window.choose(&Choice::Do(action.clone()));
        window.host.errors = "progress 11/22 round 5 of 10, with mimalloc\n".to_owned();
        let Some(Update::Text { text, meter }) = window.tick() else { panic!("no progress") };
        assert!(text.starts_with("Round 5 of 10, with mimalloc."), "{text}");
        assert_eq!(meter, Meter::Share(0.5));
        window.host.exit_code = Some(0);
        window.host.output = "wall time  with ██ 9 ms\n\n8% faster\n".to_owned();
        window.tick();
        assert_eq!(window.page().text, "8% faster.\nwall time with 9 ms");
        assert_eq!(window.choose(&Choice::Open("game.exe.html".into())), None);
        assert_eq!(window.host.opened, [Path::new("game.exe.html")]);

        window.host.exit_code = None;
        window.choose(&Choice::Do(action));
        window.choose(&Choice::Stop);
        assert!(window.host.stopped);
        assert_eq!(window.page().headline, texts::works("game.exe"));
    }

    #[test]
    fn running_programs_are_listed_page_by_page() {
        let host = Fake { processes: 8, ..Fake::default() };
        let mut window = Window::new(host, None);
        assert_eq!(window.page().headline, texts::WELCOME);
        window.choose(&Choice::ListPrograms);
        assert!(window.page().text.contains("3 more belong to other users"));
        assert_eq!(titles(&window.page())[..2], ["game1.exe", "game2.exe"]);
        assert_eq!(titles(&window.page())[6..], [texts::MORE, texts::BACK]);
        window.choose(&Choice::ListMore);
        assert_eq!(titles(&window.page())[..3], ["game7.exe", "game8.exe", texts::MORE]);
        window.choose(&Choice::ListMore);
        assert_eq!(titles(&window.page())[0], "game1.exe");
        window.choose(&Choice::Show(2));
        assert_eq!(window.page().headline, texts::process_on_own_heap("game2.exe"));
    }

    #[test]
    fn a_process_that_gets_the_module_shows_how_its_old_heap_drains() {
        let (folder, mut window) = game(&ImageSpec::default());
        let path = folder.path().join("game.exe");
        let process = RunningProcess { pid: 9, name: "game.exe".into(), path, reading: None };
        let list = Programs { found: vec![process], hidden: 0 };
        window.screen = Screen::Programs { list, first: 0 };
        window.choose(&Choice::Show(9));
        assert_eq!(actions(&mut window), [Action::Inject(9)]);
        window.choose(&Choice::Do(Action::Inject(9)));
        assert_eq!(window.host.started[0].0, "allograft inject --count --pid 9");
        window.host.exit_code = Some(0);
        window.host.reading = Some(on_mimalloc(1000));
        window.tick();
        assert_eq!(window.page().meter, Meter::Share(1.0));
        window.host.reading = Some(on_mimalloc(250));
        let update = window.tick();
        assert!(matches!(update, Some(Update::Text { meter: Meter::Share(0.25), .. })));
        assert_eq!(window.tick(), Some(Update::Page));
        assert_eq!(window.page().headline, texts::ended("game.exe"));
    }

    #[test]
    fn a_path_that_is_longer_than_a_line_is_whole_in_the_details() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long".repeat(30));
        fs::create_dir(&long).unwrap();
        let path = long.join("game.exe");
        fs::write(&path, ImageSpec::default().build()).unwrap();
        let page = Window::new(Fake::default(), Some(&path)).page();
        let whole = path.to_string_lossy();
        assert!(page.command.contains('…') && !page.command.contains(&*whole), "{}", page.command);
        assert!(page.details.unwrap().ends_with(&format!("allograft check {whole}")));
    }

    #[test]
    fn a_shortcut_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Game.lnk");
        fs::write(&path, "a shortcut").unwrap();
        let mut window = Window::new(Fake::default(), Some(&path));
        assert_eq!(window.page().text, texts::SHORTCUT);
    }
}
