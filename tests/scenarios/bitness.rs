//! 64-bit and 32-bit programs side by side: launchers, modules, and children of the other bitness.

use std::path::{Path, PathBuf};

use allograft_tests::{Crt, Launch, Mode, ModuleReport, Stage, inputs};
use tempfile::TempDir;

/// The programs of both bitnesses, and the C runtimes that there are for both.
struct Both {
    stage: &'static Stage,
    programs32: &'static Path,
    crts: &'static [Crt],
}

impl Both {
    /// None where there are no 32-bit programs, which set-up reports; and none in the run for
    /// 32-bit programs alone.
    fn load() -> Option<Both> {
        let stage = Stage::load();
        let x86 = stage.x86.as_ref()?;
        Some(Both { stage, programs32: &x86.programs, crts: &x86.crts })
    }

    /// The test program `name`, of 64 bits and of 32.
    fn pair(&self, name: &str) -> [PathBuf; 2] {
        let file = format!("{name}.exe");
        [self.stage.programs.join(&file), self.programs32.join(&file)]
    }

    /// The launcher for 32-bit programs.
    fn launcher32(&self) -> Launch<'static> {
        self.program(self.stage.bin.join("allograft32.exe")).input("")
    }

    fn program(&self, path: PathBuf) -> Launch<'static> {
        Launch::new(self.stage, path).on(&self.crts[0])
    }

    /// A folder with the files of these names, copied from beside the launcher.
    fn folder_with(&self, names: &[&str]) -> TempDir {
        inputs::folder_with(&names.iter().map(|name| self.stage.bin.join(name)).collect::<Vec<_>>())
    }
}

#[test]
fn children_are_followed_from_one_bitness_to_the_other_and_back() {
    let Some(both) = Both::load() else { return };
    let [wide, narrow] = both.pair("family");
    for crt in both.crts {
        for (parent, other) in [(&wide, &narrow), (&narrow, &wide)] {
            for mode in [Mode::Early, Mode::Injected] {
                let run = Launch::new(both.stage, parent.clone())
                    .on(crt)
                    .mode(mode)
                    .launcher_option("--follow-children")
                    .arg("2")
                    .env("ALLOGRAFT_TEST_OTHER", both.stage.windows_path(other))
                    .run();
                run.expect_code(0).expect_taken_over();
                let children = run.stdout.lines().filter(|line| !line.starts_with("parent"));
                let on_it = children.filter(|line| line.ends_with("on mimalloc")).count();
                assert_eq!(on_it, 3 + 9, "{run}");
            }
        }
    }
}

#[test]
fn children_that_the_module_cannot_reach_start_without_it_and_the_log_says_what_is_missing() {
    let Some(both) = Both::load() else { return };
    let [wide, narrow] = both.pair("family");
    let folder = both.folder_with(&["allograft.exe", "allograft.dll"]);
    let log = folder.path().join("log.txt");
    let run = both
        .program(folder.path().join("allograft.exe"))
        .args(&["run", "--follow-children", "--log"])
        .path_arg(&log)
        .arg("--")
        .path_arg(&wide)
        .arg("1")
        .env("ALLOGRAFT_TEST_OTHER", both.stage.windows_path(&narrow))
        .run();
    run.expect_code(0);
    assert_eq!(run.stdout.matches("on the old heap").count(), 3, "{run}");
    let log = std::fs::read_to_string(log).unwrap();
    let complaint = "allograft32.exe, which gives it the module, is not beside this module";
    assert_eq!(log.matches(complaint).count(), 3, "{log}");
}

#[test]
fn the_launcher_of_32_bits_starts_32_bit_programs_by_itself() {
    let Some(both) = Both::load() else { return };
    let [_, narrow] = both.pair("waiting");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let run = both
        .launcher32()
        .args(&["run", "--report"])
        .path_arg(&report)
        .arg("--")
        .path_arg(&narrow)
        .arg("7")
        .run();
    run.expect_code(7);
    assert_eq!(run.stderr, "", "{run}");
    assert!(ModuleReport::read(&report).unwrap().is_active(), "{run}");
}

#[test]
fn the_launcher_of_32_bits_refuses_64_bit_programs_in_words() {
    const REASON: &[&str] = &["it is a 64-bit program: use allograft.exe"];
    let Some(both) = Both::load() else { return };
    let [wide, _] = both.pair("waiting");
    let run = both.launcher32().args(&["run", "--"]).path_arg(&wide).run();
    run.expect_code(126).expect_error_line(REASON);
    let run = both.program(wide).run_meeting(|id| {
        let injection = both.launcher32().args(&["inject", "--pid", &id.to_string()]).run();
        injection.expect_code(125).expect_error_line(REASON);
    });
    run.expect_code(0);
}

#[test]
fn without_the_launcher_of_32_bits_a_32_bit_program_runs_on_its_own_heap() {
    let Some(both) = Both::load() else { return };
    let [_, narrow] = both.pair("waiting");
    let folder = both.folder_with(&["allograft.exe", "allograft32.dll"]);
    let run = both
        .program(folder.path().join("allograft.exe"))
        .input("")
        .args(&["run", "--"])
        .path_arg(&narrow)
        .arg("7")
        .run();
    run.expect_code(7).expect_error_line(&["no allograft32.exe beside this program"]);
}

#[test]
fn a_module_of_the_other_bitness_is_refused() {
    let Some(both) = Both::load() else { return };
    let [wide, narrow] = both.pair("waiting");
    for (program, module) in [(wide, "allograft32.dll"), (narrow, "allograft.dll")] {
        let run = both
            .stage
            .launcher()
            .on(&both.crts[0])
            .args(&["run", "--module"])
            .path_arg(&both.stage.bin.join(module))
            .arg("--")
            .path_arg(&program)
            .run();
        run.expect_code(125).expect_error_line(&["it is made for"]);
    }
}
