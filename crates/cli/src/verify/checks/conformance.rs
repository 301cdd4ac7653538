//! The differential test: the same random calls on an untouched C runtime, or on the untouched heap
//! API, and under the takeover. Both must answer the same.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code, expect_taken_over};
use crate::verify::runner::{Launch, Run};
use allograft_laboratory::{Mode, Sequence, Subject, compare};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How long one sequence may take on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The exit code of the program `runtime_maker` for a runtime that is not there.
const IS_ABSENT: u32 = 3;

/// The C runtimes before the Universal CRT that any program can load.
const OLDER: [&str; 4] = ["msvcrt.dll", "msvcr100.dll", "msvcr110.dll", "msvcr120.dll"];

/// Those that only a program gets that asks for them in its manifest, with what it asks for.
const BY_MANIFEST: [(&str, &str, &str); 2] = [
    ("msvcr80.dll", "Microsoft.VC80.CRT", "8.0.50608.0"),
    ("msvcr90.dll", "Microsoft.VC90.CRT", "9.0.21022.8"),
];

/// A C runtime, as a program of ours loads it.
struct Runtime {
    file: &'static str,
    /// Wine's deviates from Microsoft's contract by itself, so two runs cannot be compared.
    is_wine: bool,
    /// The program that performs the calls; one with a manifest, where the runtime needs it.
    program: PathBuf,
}

/// The Universal CRT and the heap API.
pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let program = context.program("conformance.exe");
    let mut findings = match find_runtime(context, "ucrtbase.dll", program, None) {
        Ok(runtime) => on_runtime(context, &runtime),
        Err(shortfall) => vec![Finding::new("ucrtbase.dll", Err(shortfall))],
    };
    for (mode, when) in [(Mode::Early, "early"), (Mode::Injected, "in the middle")] {
        let program = context.program("conformance_heap.exe");
        let result = each_seed(context, |seed, operations| {
            let sequence = Sequence::new(Subject::HeapApi, false, seed, operations, mode);
            compare_runs(context, &sequence, &Launch::new(&program))
        });
        let result = result.map(|seen| format!("{seen} answered as without mimalloc"));
        findings.push(Finding::new(format!("heap API, {when}"), result));
    }
    findings
}

/// Those of the older C runtimes that are there.
pub fn run_older(context: &Context<'_>) -> Vec<Finding> {
    let plain = OLDER
        .map(|file| (file, find_runtime(context, file, context.program("conformance.exe"), None)));
    let by_manifest = BY_MANIFEST.map(|(file, assembly, version)| {
        let manifest = manifest(context, assembly, version);
        let program = context.scratch.join(file).with_extension("exe");
        (file, find_runtime(context, file, program, Some(&manifest)))
    });
    let judge = |(file, runtime): (&str, Result<Runtime, Shortfall>)| match runtime {
        Ok(runtime) => on_runtime(context, &runtime),
        Err(shortfall) => vec![Finding::new(file, Err(shortfall))],
    };
    plain.into_iter().chain(by_manifest).flat_map(judge).collect()
}

fn on_runtime(context: &Context<'_>, runtime: &Runtime) -> Vec<Finding> {
    let modes = [(Mode::Early, "early"), (Mode::Injected, "in the middle")];
    let judge = |(mode, when): (Mode, &str)| {
        let result = each_seed(context, |seed, operations| {
            let new = Sequence::new(Subject::Runtime, runtime.is_wine, seed, operations, mode);
            let is_older = runtime.file != "ucrtbase.dll";
            let sequence = if is_older { new.on_older_runtime() } else { new };
            let launch = Launch::new(&runtime.program);
            let launch = launch.env("ALLOGRAFT_TEST_RUNTIME", runtime.file);
            if runtime.is_wine {
                judge_alone(context, &sequence, &launch)
            } else {
                compare_runs(context, &sequence, &launch)
            }
        });
        let result = result.map(|seen| match runtime.is_wine {
            true => format!("{seen}, every block intact; Wine's own runtime, so not compared"),
            false => format!("{seen} answered as without mimalloc"),
        });
        Finding::new(format!("{}, {when}", runtime.file), result)
    };
    modes.into_iter().map(judge).collect()
}

/// Judges sequences of as many seeds as the effort allows. Returns how many calls there were.
fn each_seed(
    context: &Context<'_>,
    judge: impl Fn(u64, u64) -> Result<(), Shortfall>,
) -> Result<String, Shortfall> {
    let (seeds, operations) = context.effort.pick((1, 3_000), (2, 20_000), (10, 50_000));
    for seed in context.seed..context.seed + seeds {
        judge(seed, operations)?;
    }
    Ok(crate::output::counted(seeds * operations, "random call"))
}

/// Performs `sequence` without and with the takeover.
fn compare_runs(
    context: &Context<'_>,
    sequence: &Sequence,
    program: &Launch,
) -> Result<(), Shortfall> {
    let untouched = perform(context, sequence, program, Mode::Plain)?;
    expect_code(&untouched, 0)?;
    let taken_over = perform(context, sequence, program, sequence.mode)?;
    if let Some(deviation) = compare(&untouched.output, &taken_over.output).first() {
        return Err(Outcome::failed_in(
            &taken_over,
            format_args!(
                "{sequence}: `{}` was expected, and `{}` is what mimalloc answers; it printed",
                deviation.expected, deviation.got
            ),
        ));
    }
    ended_well(&taken_over, sequence.subject)
}

/// Performs `sequence` with the takeover alone: the program marks what no runtime may do.
fn judge_alone(
    context: &Context<'_>,
    sequence: &Sequence,
    program: &Launch,
) -> Result<(), Shortfall> {
    let run = perform(context, sequence, program, sequence.mode)?;
    if let Some(marked) = compare(&run.output, &run.output).first() {
        return Err(Outcome::failed_in(&run, format_args!("{sequence}: `{}`", marked.got)));
    }
    ended_well(&run, sequence.subject)
}

fn perform(
    context: &Context<'_>,
    sequence: &Sequence,
    program: &Launch,
    mode: Mode,
) -> Result<Run, Shortfall> {
    let mut launch = program.clone().args(sequence.arguments()).limit(LIMIT);
    if let Some((name, value)) = sequence.variable() {
        launch = launch.env(name, value);
    }
    Ok(context.run_with_module(launch, mode, &[])?)
}

fn ended_well(run: &Run, subject: Subject) -> Result<(), Shortfall> {
    expect_code(run, 0)?;
    expect_taken_over(run)?;
    let is_served = run.report.as_ref().is_some_and(|report| report.process_heap.is_served());
    if subject == Subject::HeapApi && !is_served {
        return Err(Outcome::failed_in(run, "the process's heap was not served"));
    }
    if run.output.is_empty() {
        return Err(Outcome::failed_in(run, "the program recorded nothing"));
    }
    Ok(())
}

/// Asks a program of ours what the system gives it as `file`.
fn find_runtime(
    context: &Context<'_>,
    file: &'static str,
    program: PathBuf,
    manifest: Option<&str>,
) -> Result<Runtime, Shortfall> {
    let mut maker = context.program("runtime_maker.exe");
    if let Some(manifest) = manifest {
        let asking = context.scratch.join(format!("maker-{file}")).with_extension("exe");
        place(&maker, &asking, manifest)?;
        place(&context.program("conformance.exe"), &program, manifest)?;
        maker = asking;
    }
    let absent = |words: &str| Outcome::not_tried(format!("this system has no {file}{words}"));
    let run = match context.runner.run(&Launch::new(maker).arg(file)) {
        Ok(run) => run,
        // The system starts no program whose manifest names something that is not installed.
        Err(_) if manifest.is_some() => return Err(absent(" for programs that ask for it")),
        Err(error) => return Err(error.into()),
    };
    if run.exit_code == Some(IS_ABSENT) {
        return Err(absent(""));
    }
    expect_code(&run, 0)?;
    Ok(Runtime { file, is_wine: run.output.lines().any(|line| line == "wine"), program })
}

/// Copies a program of ours, with a manifest that the system reads beside it.
fn place(
    program: &std::path::Path,
    copy: &std::path::Path,
    manifest: &str,
) -> Result<(), Shortfall> {
    let beside = format!("{}.manifest", copy.display());
    fs::copy(program, copy)
        .and_then(|_| fs::write(&beside, manifest))
        .map_err(|source| Outcome::failed(format!("cannot make {}: {source}", copy.display())))
}

/// A manifest of a program that uses an old C runtime, as its compiler embeds it.
fn manifest(context: &Context<'_>, assembly: &str, version: &str) -> String {
    let processor = if context.machine.is_64() == Some(true) { "amd64" } else { "x86" };
    format!(
        "<assembly xmlns=\"urn:schemas-microsoft-com:asm.v1\" manifestVersion=\"1.0\">\
         <dependency><dependentAssembly><assemblyIdentity type=\"win32\" name=\"{assembly}\" \
         version=\"{version}\" processorArchitecture=\"{processor}\" \
         publicKeyToken=\"1fc8b3b9a1e18e3b\"/></dependentAssembly></dependency></assembly>"
    )
}
