//! One run of one storm: its program, its injections, and what both must do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::random::Random;
use super::results::TakeoverFigures;
use crate::{Crt, Launch, Mode, ModuleReport, ProgramRun, Stage};

/// How long a launcher waits for the module while threads work at full speed. Even Wine's start
/// takes a second then.
const PATIENCE: Duration = Duration::from_secs(50);

/// What a launcher may take beyond that.
const INJECTION_SLACK: Duration = Duration::from_secs(10);

/// How long a program may take.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// One run.
pub(super) struct Attempt {
    pub(super) stage: &'static Stage,
    pub(super) crt: &'static Crt,
    pub(super) seed: u64,
    pub(super) number: u32,
    pub(super) long: bool,
}

impl Attempt {
    /// Random numbers that the run's seed repeats.
    pub(super) fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// The test program `name`, without the module.
    pub(super) fn program(&self, name: &str) -> Launch<'static> {
        let program = self.stage.program(name);
        program.on(self.crt).mode(Mode::Plain).limit(PROGRAM_LIMIT)
    }

    /// Injects the module into the process `pid`.
    pub(super) fn inject(&self, pid: u32) -> Injection {
        self.injector().inject(pid, None)
    }

    /// An injector that threads can use.
    pub(super) fn injector(&self) -> Injector {
        Injector { stage: self.stage, crt: self.crt, patience: PATIENCE }
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
        let pause = Duration::from_millis(self.random().below(60));
        let mut injection = None;
        let run = launch.run_meeting(|pid| {
            std::thread::sleep(pause);
            injection = Some(self.inject(pid));
        });
        let injection = injection.ok_or_else(|| format!("the program was never ready\n{run}"))?;
        demand(run.code == Some(0), "the program failed", &run)?;
        injection.taken_over()
    }
}

/// Injects the module by the launcher.
#[derive(Clone, Copy)]
pub(super) struct Injector {
    stage: &'static Stage,
    crt: &'static Crt,
    patience: Duration,
}

impl Injector {
    /// The same, but it waits no longer than `patience` for the module.
    pub(super) fn waiting(mut self, patience: Duration) -> Injector {
        self.patience = patience;
        self
    }

    /// Injects `module`, or the stage's, into the process `pid`.
    pub(super) fn inject(self, pid: u32, module: Option<&Path>) -> Injection {
        let folder = tempfile::tempdir().expect("a scratch folder can be made");
        let path = folder.path().join("report.json");
        let mut launcher = self
            .stage
            .launcher()
            .on(self.crt)
            .limit(self.patience + INJECTION_SLACK)
            .args(&["inject", "--pid", &pid.to_string()])
            .args(&["--timeout", &self.patience.as_secs().to_string()])
            .arg("--report")
            .path_arg(&path);
        if let Some(module) = module {
            launcher = launcher.arg("--module").path_arg(module);
        }
        let run = launcher.run();
        Injection {
            run,
            // A report that is half written when the program is killed is no report.
            report: ModuleReport::read(&path).ok(),
        }
    }

    /// A copy of the module under the name `name`, in `folder`.
    pub(super) fn copy_of_module(self, folder: &Path, name: &str) -> PathBuf {
        let copy = folder.join(name);
        std::fs::copy(self.stage.module(), &copy).expect("the module can be copied");
        copy
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
            Some(report) if report.is_active() => Ok(TakeoverFigures {
                milliseconds: report.attach_microseconds / 1000.0,
                threads_stopped: report.threads_stopped,
            }),
            Some(report) => Err(format!("the heap was not taken over: {report:?}")),
            None => Err(format!("the module wrote no report\n{}", self.run)),
        }
    }
}

/// The error of a run that is not as demanded.
pub(super) fn demand(holds: bool, complaint: &str, run: &ProgramRun) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{complaint}\n{run}")) }
}
