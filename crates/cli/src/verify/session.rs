//! Runs the checks one after the other, and prints the answer.

use super::PROBE;
use super::answer::{About, Answer, INTERRUPTED, Row};
use super::args::VerifyArgs;
use super::check::{Check, Context, Effort, Finding, Outcome};
use super::runner::{Launch, Run, Runner, is_setting};
use super::scratch::Scratch;
use crate::error::Error;
use crate::module::beside_this_program;
use crate::output::{notify, pretty_json, print};
use crate::verify::runtimes::{installed, name_and_version};
use crate::windows::about;
use crate::windows::bounded::Bounded;
use crate::windows::console;
use crate::windows::process::system_folder;
use allograft_image::Machine;
use allograft_laboratory::{PROGRAM_FOLDER, READY};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::os::windows::io::BorrowedHandle;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

/// Runs the checks and prints what they found. Returns the exit code.
pub fn run(args: &VerifyArgs) -> Result<u32, Error> {
    about::let_programs_crash_in_silence();
    let session = Session {
        interruption: console::catch_interrupts()?,
        launcher: std::env::current_exe()
            .map_err(|source| Error::system("find this program", source))?,
        programs: beside_this_program(PROGRAM_FOLDER)?,
        scratch: Scratch::new()?,
        effort: args.effort(),
        seed: args.seed,
        was_interrupted: Cell::new(false),
    };
    if !session.programs.is_dir() {
        return Err(Error::new(format!(
            "no folder {}: unpack the download again, and keep its files together",
            session.programs.display()
        )));
    }
    let rows = session.run(&args.checks())?;
    let was_interrupted = session.was_interrupted.get();
    drop(session);
    let answer = Answer::new(about(), args.effort(), args.seed, rows);
    print(&answer.text())?;
    for (path, text) in [(&args.json, pretty_json(&answer)?), (&args.html, answer.html())] {
        if let Some(path) = path {
            fs::write(path, text).map_err(|source| {
                Error::system(format_args!("write {}", path.display()), source)
            })?;
        }
    }
    if was_interrupted {
        return Err(Error::new("interrupted; nothing is left running"));
    }
    match (answer.has_failed(), answer.has_tried()) {
        (true, _) => Ok(1),
        (false, true) => Ok(0),
        (false, false) => Err(Error::new(answer.verdict)),
    }
}

struct Session {
    /// An event that ends the run in progress.
    interruption: BorrowedHandle<'static>,
    launcher: PathBuf,
    /// The folder with a folder for each machine.
    programs: PathBuf,
    scratch: Scratch,
    effort: Effort,
    seed: u64,
    was_interrupted: Cell<bool>,
}

/// The machines whose programs are run, if the system runs them.
const MACHINES: [Machine; 2] = [Machine::X64, Machine::X86];

/// The place of `machine` among them.
fn index(machine: Machine) -> usize {
    usize::from(machine == MACHINES[1])
}

impl Session {
    fn run(&self, checks: &[&'static Check]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        let pairs: Vec<_> =
            checks.iter().flat_map(|check| MACHINES.map(|machine| (*check, machine))).collect();
        let obstacles = MACHINES.map(|machine| self.obstacle(machine));
        for (number, &(check, machine)) in pairs.iter().enumerate() {
            let began = Instant::now();
            let obstacle = &obstacles[index(machine)];
            let findings = match obstacle {
                _ if self.was_interrupted.get() => {
                    vec![Finding::new("", Err(Outcome::not_tried(INTERRUPTED)))]
                }
                Some(why) => vec![Finding::new("", Err(Outcome::not_tried(why.clone())))],
                None => self.try_check(check, machine, number, &obstacles, &rows)?,
            };
            let row = Row { check, machine, seconds: began.elapsed().as_secs_f64(), findings };
            notify(format_args!(
                "{}/{} {}, {machine} programs: {}",
                number + 1,
                pairs.len(),
                check.name,
                row.word()
            ));
            rows.push(row);
        }
        Ok(rows)
    }

    fn try_check(
        &self,
        check: &'static Check,
        machine: Machine,
        number: usize,
        obstacles: &[Option<String>; 2],
        earlier: &[Row],
    ) -> Result<Vec<Finding>, Error> {
        let programs = self.programs_for(machine);
        let missing = check.programs.iter().find(|name| !programs.join(name).is_file());
        if let Some(name) = missing {
            return Err(Error::new(format!(
                "no {}: unpack the download again, and keep its files together",
                programs.join(name).display()
            )));
        }
        let scratch = self.scratch.folder(number)?;
        let other = MACHINES[1 - index(machine)];
        let other_programs = self.programs_for(other);
        let earlier: Vec<Finding> =
            earlier.iter().flat_map(|row| row.findings.iter().cloned()).collect();
        let context = Context {
            runner: self,
            machine,
            effort: self.effort,
            seed: self.seed,
            launcher: &self.launcher,
            programs: &programs,
            other_programs: match &obstacles[index(other)] {
                Some(why) => Err(why),
                None => Ok(&other_programs),
            },
            system: &system_folder(machine).unwrap_or_default(),
            is_wine: about::wine_version().is_some(),
            scratch: &scratch,
            earlier: &earlier,
            reports: Cell::new(0),
        };
        let findings = (check.run)(&context);
        if self.was_interrupted.get() {
            // What the interruption ended has not failed.
            return Ok(vec![Finding::new("", Err(Outcome::not_tried(INTERRUPTED)))]);
        }
        Ok(findings)
    }

    fn programs_for(&self, machine: Machine) -> PathBuf {
        self.programs.join(machine.to_string())
    }

    /// Why programs of `machine` cannot be run, if they cannot.
    fn obstacle(&self, machine: Machine) -> Option<String> {
        let programs = self.programs_for(machine);
        if !programs.is_dir() {
            return Some(format!("this copy of allograft has no programs for {machine}"));
        }
        let probe = Launch::new(programs.join(PROBE)).arg("return");
        match self.run_bounded(&probe) {
            Ok(_) => None,
            Err(error) => Some(format!("this system does not run programs for {machine}: {error}")),
        }
    }

    fn run_bounded(&self, launch: &Launch) -> Result<Run, Error> {
        self.follow(self.start(launch)?, launch)
    }

    fn start(&self, launch: &Launch) -> Result<Bounded, Error> {
        let mut process = Bounded::start(
            &launch.program,
            &launch.arguments,
            &environment(&launch.variables),
            launch.limit,
            self.interruption,
        )?;
        if launch.meeting.is_none() {
            process.close_input();
        }
        Ok(process)
    }

    /// Reads what the program prints until it has ended, and has it meet whom it waits for.
    fn follow(&self, mut process: Bounded, launch: &Launch) -> Result<Run, Error> {
        let mut run = Run { command: launch.shown(), ..Run::default() };
        let mut begun = None;
        while let Some(line) = process.next_line()? {
            let Some(id) = line.strip_prefix(READY) else {
                run.output.push_str(&line);
                run.output.push('\n');
                continue;
            };
            let Some(meeting) = &launch.meeting else { continue };
            let meeting = meeting.as_ref().clone().arg(id.trim());
            thread::sleep(launch.pause);
            let started = self.start(&meeting)?;
            match launch.head_start {
                None => run.meeting = Some(Box::new(self.follow(started, &meeting)?)),
                Some(head_start) => {
                    thread::sleep(head_start);
                    begun = Some((started, meeting));
                }
            }
            process.write("go\n");
        }
        run.exit_code = process.wait()?;
        run.errors = process.errors();
        if let Some((started, meeting)) = begun {
            run.meeting = Some(Box::new(self.follow(started, &meeting)?));
        }
        self.was_interrupted.set(self.was_interrupted.get() || process.was_interrupted());
        Ok(run)
    }
}

impl Runner for Session {
    fn run(&self, launch: &Launch) -> Result<Run, Error> {
        if self.was_interrupted.get() {
            return Err(Error::new("interrupted"));
        }
        self.run_bounded(launch)
    }
}

/// The machine, for the report.
fn about() -> About {
    About {
        system: about::system(),
        is_wine: about::wine_version().is_some(),
        processor: about::processor(),
        processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        runtimes: MACHINES.into_iter().flat_map(runtimes).collect(),
    }
}

/// The C runtimes for programs of `machine`, with their versions.
fn runtimes(machine: Machine) -> Vec<String> {
    let files = system_folder(machine).map(|system| installed(&system, machine));
    let shown = |path: &PathBuf| format!("{} ({machine})", name_and_version(path));
    files.iter().flatten().map(shown).collect()
}

/// This program's environment without the user's settings of the module, and with `variables` in
/// the place of those of the same names.
fn environment(variables: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let is_replaced =
        |name: &OsString| variables.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let inherited = std::env::vars_os().filter(|(name, _)| !is_setting(name) && !is_replaced(name));
    inherited.chain(variables.iter().cloned()).collect()
}
