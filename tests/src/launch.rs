//! Running one Windows program, with or without the takeover.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use allograft_laboratory::{Mode, ModuleReport, READY};

use crate::process::BoundedProcess;
use crate::run::ProgramRun;
use crate::stage::{Crt, Stage};

/// How long a program may run if the scenario sets no limit.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// How long an injection may take.
const INJECTION_LIMIT: Duration = Duration::from_secs(30);

impl Stage {
    /// A launch of the test program `name` on [`Stage::newest_crt`].
    pub fn program(&self, name: &str) -> Launch<'_> {
        Launch::new(self, self.programs.join(format!("{name}.exe")))
    }

    /// A launch of `allograft.exe` itself.
    pub fn launcher(&self) -> Launch<'_> {
        Launch::new(self, self.bin.join("allograft.exe")).input("")
    }
}

/// A program to be run. Make one with [`Stage::program`].
pub struct Launch<'a> {
    stage: &'a Stage,
    crt: &'a Crt,
    program: PathBuf,
    arguments: Vec<String>,
    launcher_options: Vec<String>,
    variables: Vec<(String, String)>,
    report_by_variable: bool,
    native: Vec<String>,
    directory: Option<PathBuf>,
    input: Option<String>,
    mode: Mode,
    limit: Duration,
    memory_limit: Option<u64>,
    escapes: u64,
    has_terminal: bool,
}

impl<'a> Launch<'a> {
    /// A launch of the Windows program at the host path `program`.
    pub fn new(stage: &'a Stage, program: PathBuf) -> Launch<'a> {
        Launch {
            stage,
            crt: stage.newest_crt(),
            program,
            arguments: Vec::new(),
            launcher_options: Vec::new(),
            variables: Vec::new(),
            report_by_variable: false,
            native: Vec::new(),
            directory: None,
            input: None,
            mode: Mode::Plain,
            limit: DEFAULT_LIMIT,
            memory_limit: None,
            escapes: 0,
            has_terminal: false,
        }
    }

    /// Runs it on this C runtime instead of [`Stage::newest_crt`].
    pub fn on(mut self, crt: &'a Crt) -> Self {
        self.crt = crt;
        self
    }

    /// Sets when the module comes; [`Mode::Plain`] by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Adds an argument of the program.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Adds the Windows form of a host path as an argument.
    pub fn path_arg(self, path: &Path) -> Self {
        let text = self.stage.windows_path(path);
        self.arg(text)
    }

    /// Adds an option of `allograft run` or `allograft inject`.
    pub fn launcher_option(mut self, option: impl Into<String>) -> Self {
        self.launcher_options.push(option.into());
        self
    }

    /// Sets an environment variable of the program.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Has the module write its report by the program's environment, for programs that load the
    /// module without the launcher.
    pub fn report_by_variable(mut self) -> Self {
        self.report_by_variable = true;
        self
    }

    /// Makes Wine use the program's own copy of this library instead of Wine's.
    pub fn native(mut self, library: &str) -> Self {
        self.native.push(library.to_owned());
        self
    }

    /// Runs it in this folder of the host.
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Gives it this standard input and closes it, for programs that do not wait for the harness.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Limits its running time.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Has the host limit the program's memory to this many bytes, where Windows does not.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Expects that so many blocks of mimalloc's reach the system's heap; none by default. Only the
    /// debug variant of the module counts them.
    pub fn escapes(mut self, blocks: u64) -> Self {
        self.escapes = blocks;
        self
    }

    /// Gives it a terminal of the host's (by `script`), where everything that it prints is standard
    /// output.
    pub fn on_terminal(mut self) -> Self {
        self.has_terminal = true;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If the host cannot start it at all, or if blocks of mimalloc's escaped. Anything that the program does is in the [`ProgramRun`].
    #[track_caller]
    pub fn run(self) -> ProgramRun {
        self.run_meeting(|_| ())
    }

    /// As [`Launch::run`]; when the program waits for the harness, calls `meeting` with its Windows
    /// process id. In [`Mode::Injected`] the module is there by then.
    #[track_caller]
    pub fn run_meeting(self, mut meeting: impl FnMut(u32)) -> ProgramRun {
        let scratch = tempfile::tempdir().expect("a scratch folder can be made");
        let report_path = scratch.path().join("report.json");
        let command = self.command(&report_path);
        let mut run = ProgramRun {
            code: None,
            took: Duration::ZERO,
            stdout: String::new(),
            stderr: String::new(),
            report: None,
            injection: None,
            command: shown(&command),
        };
        let started = Instant::now();
        let mut process =
            BoundedProcess::start(command, self.limit).unwrap_or_else(|reason| panic!("{reason}"));
        if let Some(input) = &self.input {
            process.write(input);
            process.close_input();
        }
        while let Some(line) = process.next_line() {
            let Some(id) = line.strip_prefix(READY).and_then(|id| id.parse().ok()) else {
                run.stdout.push_str(&line);
                run.stdout.push('\n');
                continue;
            };
            if self.mode == Mode::Injected {
                run.injection = Some(Box::new(self.inject(id, &report_path)));
            }
            meeting(id);
            process.write("go\n");
        }
        run.code = process.wait();
        run.took = started.elapsed();
        run.stderr = process.errors();
        if report_path.exists() {
            run.report = Some(
                ModuleReport::read(&report_path).unwrap_or_else(|reason| panic!("{reason}\n{run}")),
            );
            let escapes = run.report.as_ref().and_then(|report| report.process_heap.escapes);
            assert!(
                escapes.is_none_or(|escapes| escapes == self.escapes),
                "{escapes:?} blocks of mimalloc's reached the system's heap\n{run}"
            );
        }
        run
    }

    /// Loads the module in the running process `id` by `allograft inject`, on the same C runtime.
    fn inject(&self, id: u32, report: &Path) -> ProgramRun {
        let mut injection = self.stage.launcher().on(self.crt).limit(INJECTION_LIMIT);
        injection =
            injection.args(&["inject", "--pid", &id.to_string(), "--report"]).path_arg(report);
        injection.arguments.extend(self.launcher_options.iter().cloned());
        injection.run()
    }

    fn command(&self, report: &Path) -> Command {
        let mut words = Vec::new();
        let launcher = self.stage.bin.join("allograft.exe");
        let program = match self.mode {
            Mode::Plain | Mode::Injected => &self.program,
            Mode::Early | Mode::Late(_) => {
                words.extend([
                    "run".to_owned(),
                    "--report".to_owned(),
                    self.stage.windows_path(report),
                ]);
                if let Mode::Late(milliseconds) = self.mode {
                    words.extend(["--late".to_owned(), milliseconds.to_string()]);
                }
                words.extend(self.launcher_options.iter().cloned());
                words.extend(["--".to_owned(), self.stage.windows_path(&self.program)]);
                &launcher
            }
        };
        let mut command = self.host_command(program);
        command.args(words).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if self.report_by_variable {
            command.env("ALLOGRAFT_REPORT", self.stage.windows_path(report));
        }
        if self.has_terminal {
            command = in_terminal(&command);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// The command that runs the Windows program `program` on this host.
    fn host_command(&self, program: &Path) -> Command {
        let Some(wine) = &self.stage.wine else {
            return Command::new(program);
        };
        let mut command = match self.memory_limit {
            Some(bytes) => limited(wine, bytes),
            None => Command::new(wine),
        };
        command.arg(program).env("WINEDEBUG", "-all");
        if self.crt.is_wine() {
            command.env("ALLOGRAFT_TEST_WINE_CRT", "1");
        }
        if let Some(prefix) = &self.crt.prefix {
            command.env("WINEPREFIX", prefix);
        }
        let native = self.native.iter().map(|library| format!("{library}=n,b"));
        let overrides: Vec<_> = [self.crt.overrides.clone()].into_iter().chain(native).collect();
        command.env("WINEDLLOVERRIDES", overrides.join(";"));
        command
    }
}

/// A command that runs `program` under a shell's memory limit.
fn limited(program: &Path, bytes: u64) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -d {}; exec \"$0\" \"$@\"", bytes / 1024);
    command.args(["-c", &script]).arg(program);
    command
}

/// A command that runs `command` in a terminal.
fn in_terminal(command: &Command) -> Command {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &shown(command), "/dev/null"]);
    script
}

/// The command with its variables, ready to be typed again.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}='{}' ", name.display(), value.display()))
    });
    let program = command.get_program().display().to_string();
    let arguments = command.get_args().map(|argument| format!(" '{}'", argument.display()));
    variables.chain([program]).chain(arguments).collect()
}
