//! One run of one storm: its program, its injections, and what both must do.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

use super::results::TakeoverFigures;
use crate::{Crt, Launch, Mode, ModuleReport, ProgramRun, Stage};

/// How long a launcher waits for the module while threads work at full speed. Even Wine's start
/// takes a second then.
pub(super) const PATIENCE: Duration = Duration::from_secs(50);

/// What a launcher may take beyond that.
const INJECTION_SLACK: Duration = Duration::from_secs(10);

const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) stage: &'static Stage,
    pub(super) crt: &'static Crt,
    pub(super) seed: u64,
    pub(super) number: u32,
    pub(super) long: bool,
}

impl Attempt {
    /// Random numbers that the run's seed repeats.
    pub(super) fn random(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    /// The test program `name`, without the module.
    pub(super) fn program(&self, name: &str) -> Launch<'static> {
        let program = self.stage.program(name);
        program.on(self.crt).mode(Mode::Plain).limit(PROGRAM_LIMIT)
    }

    /// Injects the stage's module into the process `pid`.
    pub(super) fn inject(&self, pid: u32) -> Injection {
        self.inject_module(pid, None, PATIENCE)
    }

    /// Injects `module`, or the stage's, into the process `pid` and waits no longer than `patience`
    /// for it.
    pub(super) fn inject_module(
        &self,
        pid: u32,
        module: Option<&Path>,
        patience: Duration,
    ) -> Injection {
        let folder = tempfile::tempdir().expect("a scratch folder can be made");
        let path = folder.path().join("report.json");
        let launcher = self.stage.launcher().on(self.crt).limit(patience + INJECTION_SLACK);
        let mut launcher = launcher
            .args(&["inject", "--pid", &pid.to_string()])
            .args(&["--timeout", &patience.as_secs().to_string(), "--report"])
            .path_arg(&path);
        if let Some(module) = module {
            launcher = launcher.arg("--module").path_arg(module);
        }
        let run = launcher.run();
        // A report that is half written when the program is killed is no report.
        Injection { run, report: ModuleReport::read(&path).ok() }
    }

    /// A failure with what it takes to see it again.
    pub(super) fn failure(&self, reason: &str) -> String {
        format!(
            "run {} on the C runtime {} (seed {}):\n{reason}",
            self.number, self.crt.name, self.seed
        )
    }

    /// [`Attempt::inject_at_random`] for the test program `name`.
    pub(super) fn inject_into(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> Result<TakeoverFigures, String> {
        self.inject_at_random(self.program(name).args(arguments))
    }

    /// Runs `launch`, injects the module when the program is ready and a random moment has passed,
    /// and demands that both went well.
    pub(super) fn inject_at_random(&self, launch: Launch<'_>) -> Result<TakeoverFigures, String> {
        let pause = Duration::from_millis(self.random().u64(..60));
        let (run, injection) = self.inject_after(pause, launch)?;
        demand(run.code == Some(0), "the program failed", &run)?;
        injection.taken_over()
    }

    /// Runs `launch` and injects the module `pause` after the program is ready.
    pub(super) fn inject_after(
        &self,
        pause: Duration,
        launch: Launch<'_>,
    ) -> Result<(ProgramRun, Injection), String> {
        let mut injection = None;
        let run = launch.run_meeting(|pid| {
            std::thread::sleep(pause);
            injection = Some(self.inject(pid));
        });
        match injection {
            Some(injection) => Ok((run, injection)),
            None => Err(format!("the program was never ready\n{run}")),
        }
    }
}

/// An injection that has ended.
pub(super) struct Injection {
    pub(super) run: ProgramRun,
    pub(super) report: Option<ModuleReport>,
}

impl Injection {
    /// Demands that the heap was taken over.
    pub(super) fn taken_over(&self) -> Result<TakeoverFigures, String> {
        demand(self.run.code == Some(0), "the injection failed", &self.run)?;
        match &self.report {
            Some(report) if report.is_active() => Ok(TakeoverFigures::from_report(report)),
            Some(report) => Err(format!("the heap was not taken over: {report:?}")),
            None => Err(format!("the module wrote no report\n{}", self.run)),
        }
    }
}

/// The error of a run that is not as demanded.
pub(super) fn demand(holds: bool, complaint: &str, run: &ProgramRun) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{complaint}\n{run}")) }
}
