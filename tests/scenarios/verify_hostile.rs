//! The checks of `allograft verify` about hostile surroundings: they pass where allograft works, and
//! each says so where a fault was put in on purpose.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allograft_tests::{ProgramRun, Stage, Target, X64, X86};
use tempfile::TempDir;

/// `cargo xtask` lays the programs out for scenarios that name their folder.
const FOLDER: &str = "verify";

/// The program that does what it is told.
const IMPOSTOR: &str = "impostor";

const LIMIT: Duration = Duration::from_secs(300);

/// A copy of what a user has, with programs for one machine only, to put faults into.
struct Copy {
    folder: TempDir,
    target: &'static Target,
}

impl Copy {
    fn new(target: &'static Target) -> Copy {
        let copy = Copy { folder: tempfile::tempdir().unwrap(), target };
        let bin = &Stage::load().bin;
        for file in ["allograft.exe", "allograft.dll", "allograft32.exe", "allograft32.dll"] {
            fs::copy(bin.join(file), copy.folder.path().join(file)).unwrap();
        }
        let programs = bin.join(FOLDER).join(target.machine.to_string());
        fs::create_dir_all(copy.programs()).unwrap();
        for file in fs::read_dir(programs).unwrap().flatten() {
            fs::copy(file.path(), copy.programs().join(file.file_name())).unwrap();
        }
        copy
    }

    fn programs(&self) -> PathBuf {
        self.folder.path().join(FOLDER).join(self.target.machine.to_string())
    }

    fn module(&self) -> PathBuf {
        self.folder.path().join(self.target.module())
    }

    /// Puts a program in the place of `name` that does what `told` says.
    fn replace(&self, name: &str, told: &str) {
        let stage = Stage::load();
        let built = match self.target.machine == X86.machine {
            true => &stage.x86.as_ref().unwrap().programs,
            false => &stage.programs,
        };
        let place = self.programs().join(name);
        fs::copy(built.join(format!("{IMPOSTOR}.exe")), &place).unwrap();
        fs::write(place.with_extension("txt"), told).unwrap();
    }

    fn verify(&self, checks: &[&str]) -> ProgramRun {
        verify(&self.folder.path().join("allograft.exe"), checks)
    }

    /// Runs one check and demands that it fails with these words.
    #[track_caller]
    fn expect_failure(&self, check: &str, words: &[&str]) {
        let run = self.verify(&[check]);
        run.expect_code(1).expect_output(&["FAILED", "does not work on this Wine"]);
        run.expect_output(words);
    }
}

fn verify(launcher: &Path, checks: &[&str]) -> ProgramRun {
    let launch = allograft_tests::Launch::new(Stage::load(), launcher.to_owned());
    let only = checks.iter().flat_map(|name| ["--only", name]);
    let arguments: Vec<&str> = ["verify", "--quick"].into_iter().chain(only).collect();
    launch.args(&arguments).input("").limit(LIMIT).run()
}

/// All of them, on the machine as it is, with programs of both kinds.
#[test]
fn what_holds_here_passes_and_the_rest_is_not_tried() {
    let checks = ["storms", "hooks", "policies", "exits", "libraries", "sandboxes", "security"];
    let run = verify(&Stage::load().bin.join("allograft.exe"), &checks);
    run.expect_code(0).expect_output(&["allograft works on this Wine", "not tried", "taken over"]);
    let rows = run.stderr.lines().filter(|line| line.ends_with(": passed")).count();
    assert!(rows >= 10, "{rows} rows passed\n{run}");
}

/// A DLL of the module's name that does nothing: nothing is taken over.
#[test]
fn a_module_without_effect_is_noticed() {
    for target in [&X64, &X86] {
        let copy = Copy::new(target);
        fs::copy(copy.programs().join("heap_user.dll"), copy.module()).unwrap();
        for check in ["storms", "hooks", "libraries", "exits", "policies"] {
            copy.expect_failure(check, &["or that is no module of allograft"]);
        }
    }
}

#[test]
fn a_storm_that_loses_a_block_is_noticed() {
    let copy = Copy::new(&X64);
    copy.replace("storm.exe", "meet\nprint FAILED line 7: block 3 changed\nexit 1\n");
    copy.expect_failure("storms", &["ended with 1 instead of 0", "block 3 changed"]);
    copy.replace("library_storm.exe", "meet\ncrash\n");
    copy.expect_failure("libraries", &["0xc0000005"]);
}

/// A check whose hooks are not called proves nothing.
#[test]
fn hooks_without_effect_are_noticed() {
    let copy = Copy::new(&X64);
    let calls = "print hooked NtSuspendThread: 5 calls\n".repeat(4);
    copy.replace("hooked_storm.exe", &format!("meet\nprint passed\n{calls}"));
    copy.expect_failure("hooks", &["through 4 of the 5 hooks"]);
}

#[test]
fn a_crash_in_restricted_surroundings_is_noticed() {
    let copy = Copy::new(&X64);
    copy.replace("surroundings.exe", "print confirmed: here\nmeet\ncrash\n");
    for check in ["policies", "sandboxes"] {
        copy.expect_failure(check, &["0xc0000005"]);
    }
}

#[test]
fn a_refusal_without_a_reason_is_noticed() {
    let copy = Copy::new(&X64);
    let told = "print confirmed: here\nmeet\nprint on its own heap\nprint passed\n";
    copy.replace("surroundings.exe", told);
    // The launcher reports a takeover of which the program knows nothing.
    copy.expect_failure("policies", &["did not say that the program is on its own heap"]);
}

#[test]
fn another_exit_code_and_exit_functions_that_do_not_run_are_noticed() {
    let copy = Copy::new(&X64);
    copy.replace("exit_paths.exe", "meet\nprint exit functions ran\nexit 9\n");
    copy.expect_failure("exits", &["ended with 0x9, after its exit functions"]);
}

/// A module that the system does not load is what a scanner leaves behind, too.
#[test]
fn a_module_that_the_system_refuses_is_noticed() {
    for target in [&X64, &X86] {
        let copy = Copy::new(target);
        let whole = fs::read(copy.module()).unwrap();
        fs::write(copy.module(), &whole[..whole.len() / 2]).unwrap();
        copy.expect_failure("security", &["Windows did not load", "security software"]);
    }
}

/// Where a program can do nothing the check is no success.
#[test]
fn what_could_not_be_tried_is_not_passed() {
    let copy = Copy::new(&X64);
    copy.replace("hooked_storm.exe", "print not tried: no room for hooks\nexit 2\n");
    let run = copy.verify(&["hooks"]);
    run.expect_code(125).expect_output(&["not tried", "no room for hooks"]);
}
