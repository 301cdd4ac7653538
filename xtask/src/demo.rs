//! `cargo xtask demo`: real programs on real input, with and without allograft, side by side.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use allograft_tests::{Launch, Mode, ModuleReport, ProgramRun, Stage, X64};
use anyhow::Result;

use crate::cargo::WindowsBuild;
use crate::layout;
use crate::setup::{self, Request};
use crate::stage::{self, Parts};
use crate::step::Step;
use crate::tools::exit_code;

/// How long one run may take; it takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

struct DemoProgram<'a> {
    name: &'static str,
    task: &'static str,
    executable: &'a Path,
    arguments: Vec<&'a str>,
    mode: Mode,
}

/// Fails unless every program ran on mimalloc and did the same as without.
pub fn run() -> Result<ExitCode> {
    let environment = setup::run(&Request::demo())?;
    let building = Step::begin("demo: building the module and the launcher");
    let build = WindowsBuild::new(environment.rust, &X64);
    let stage = stage::build(&environment, build, &Parts::none())?;
    building.done();
    let _servers = environment.keep_wine_alive();
    let on_wine = stage.wine.is_some();
    if on_wine {
        println!("On Microsoft's ucrtbase.dll {} under Wine:", stage.newest_crt().name);
    } else {
        println!("On this Windows and its own C runtime:");
    }
    let inputs = Inputs {
        formula: stage.windows_path(&layout::own("demo/factor.smt2")),
        script: stage.windows_path(&layout::root().join("tests/inputs/lists.cmake")),
    };
    let mut all_well = true;
    for program in programs(&stage, &inputs) {
        all_well &= show(&stage, &program);
    }
    if on_wine {
        println!("\nThe times without allograft are those of Wine's heap, not of Windows' own.");
    }
    Ok(exit_code(all_well))
}

/// What the programs work on, as paths of Windows.
struct Inputs {
    formula: String,
    script: String,
}

fn programs<'a>(stage: &'a Stage, inputs: &'a Inputs) -> [DemoProgram<'a>; 4] {
    let keytool =
        "-m java.base/sun.security.tools.keytool.Main -list -v -cacerts -storepass changeit";
    [
        DemoProgram {
            name: "z3",
            task: "factors a 10-digit number as a question of bit-vectors (xtask/demo/factor.smt2)",
            executable: &stage.real.z3,
            arguments: vec![&inputs.formula],
            mode: Mode::Early,
        },
        DemoProgram {
            name: "z3, taken over while it runs,",
            task: "does the same; what it had allocated before moves to mimalloc as it is reallocated",
            executable: &stage.real.z3,
            arguments: vec![&inputs.formula],
            mode: Mode::Late(500),
        },
        DemoProgram {
            name: "java",
            task: "lists the certificates of its own key store (the class sun.security.tools.keytool.Main)",
            executable: &stage.real.java,
            arguments: keytool.split(' ').collect(),
            mode: Mode::Early,
        },
        DemoProgram {
            name: "cmake, whose C runtime is linked in,",
            task: "sorts and filters long lists (tests/inputs/lists.cmake)",
            executable: &stage.real.cmake,
            arguments: vec!["-P", &inputs.script],
            mode: Mode::Early,
        },
    ]
}

/// Runs a program without and with allograft and prints what differs. Returns whether it ran on
/// mimalloc and did the same.
fn show(stage: &Stage, program: &DemoProgram) -> bool {
    let step = Step::begin(format!("demo: running {} without and with allograft", program.name));
    let launch = || Launch::new(stage, program.executable.to_owned()).input("").limit(LIMIT);
    // The first start is not timed: it starts services of Wine, and reads files from the disk.
    launch().arg("--version").run();
    let without = launch().args(&program.arguments).run();
    let mut with = launch().args(&program.arguments).mode(program.mode);
    if matches!(program.mode, Mode::Late(_)) {
        with = with.launcher_option("--count");
    }
    let with = with.run();
    step.done();

    println!("\n{} {}", program.name, program.task);
    let rows = takeover_rows(with.report.as_ref()).into_iter().chain(run_rows(&without, &with));
    for (what, value) in rows {
        println!("    {what:20} {value}");
    }
    let is_same = without.stdout == with.stdout && without.code == with.code;
    is_same && with.report.is_some_and(|report| report.is_active())
}

type Row = (&'static str, String);

fn takeover_rows(report: Option<&ModuleReport>) -> Vec<Row> {
    let Some(report) = report else {
        return vec![("took over", "NOTHING: the module wrote no report".to_owned())];
    };
    if !report.is_active() {
        return vec![("took over", format!("NOTHING ({}) {}", report.state, report.message))];
    }
    let mut rows = Vec::new();
    for runtime in &report.runtimes {
        let version = runtime.version.as_deref().unwrap_or_default();
        let value = format!("{} functions of {} {version}", runtime.functions, runtime.name);
        rows.push(("took over", value));
    }
    let heap = &report.process_heap;
    if heap.is_served() {
        let slots = heap.slots_allocating + heap.slots_freeing;
        let value = format!("HeapAlloc and its kin: {slots} imports in {} modules", heap.modules);
        rows.push(("took over", value));
    }
    rows.push(("in", format!("{:.2} ms", report.attach_microseconds / 1000.0)));
    if let Some(old) = &report.old_heap {
        rows.push(("old heap held", blocks(old.blocks, old.bytes)));
    }
    let foreign = &report.foreign;
    rows.push(("blocks migrated", blocks(foreign.migrated_blocks, foreign.migrated_bytes)));
    rows.push(("old blocks freed", blocks(foreign.freed_blocks, foreign.freed_bytes)));
    let peak = bytes(report.mimalloc.peak_committed_bytes);
    let version = &report.mimalloc_version;
    rows.push(("heap since", format!("mimalloc {version}, at most {peak} committed")));
    rows
}

fn run_rows(without: &ProgramRun, with: &ProgramRun) -> [Row; 3] {
    let yes = |is: bool| if is { "yes" } else { "NO" };
    let code = |run: &ProgramRun| run.code.map_or("none".to_owned(), |code| code.to_string());
    let codes = if without.code == with.code {
        code(without)
    } else {
        format!("{} without, {} with", code(without), code(with))
    };
    let lines = without.stdout.lines().count();
    let times = (without.took.as_secs_f64(), with.took.as_secs_f64());
    [
        ("same output", format!("{} ({lines} lines)", yes(without.stdout == with.stdout))),
        ("same exit code", format!("{} ({codes})", yes(without.code == with.code))),
        ("time, start to end", format!("{:.2} s without, {:.2} s with", times.0, times.1)),
    ]
}

fn blocks(count: u64, size: u64) -> String {
    if count == 0 { "none".to_owned() } else { format!("{count} ({})", bytes(size)) }
}

fn bytes(size: u64) -> String {
    indicatif::BinaryBytes(size).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a report with these fields and those of a process heap that is served.
    fn rows(fields: &str) -> Vec<Row> {
        let report = format!(
            r#"{{"mimalloc_version": "3.3.2", "exact_sizes": false, "process_heap": {{"state": "program", "reason": "",
                "slots_allocating": 1, "slots_freeing": 76, "modules": 23, "exports": 18, "private_heaps": 0,
                "migrated_blocks": 0, "freed_blocks": 0, "escapes": null}}, {fields}}}"#
        );
        takeover_rows(Some(&serde_json::from_str(&report).unwrap()))
    }

    #[test]
    fn a_takeover_is_shown_with_its_counts() {
        let rows = rows(
            r#""state": "active", "attach_microseconds": 1500.0, "old_heap": null,
                "runtimes": [{"name": "ucrtbase.dll", "version": "10.0.26100.1742", "functions": 41}],
                "foreign": {"migrated_blocks": 3, "migrated_bytes": 2048, "freed_blocks": 0, "freed_bytes": 0}"#,
        );
        for row in [
            ("took over", "41 functions of ucrtbase.dll 10.0.26100.1742"),
            ("took over", "HeapAlloc and its kin: 77 imports in 23 modules"),
            ("in", "1.50 ms"),
            ("blocks migrated", "3 (2.00 KiB)"),
            ("old blocks freed", "none"),
        ] {
            assert!(rows.contains(&(row.0, row.1.to_owned())), "{row:?} is not in {rows:?}");
        }
    }

    #[test]
    fn a_failure_is_shown_with_its_reason() {
        let rows = rows(
            r#""state": "failed", "message": "no memory near the runtime",
                "foreign": {"migrated_blocks": 0, "migrated_bytes": 0, "freed_blocks": 0, "freed_bytes": 0}"#,
        );
        assert_eq!(rows, [("took over", "NOTHING (failed) no memory near the runtime".to_owned())]);
        assert!(takeover_rows(None)[0].1.starts_with("NOTHING"));
    }
}
