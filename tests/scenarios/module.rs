//! `allograft.dll` itself: its size, imports and configuration.

use std::mem::MaybeUninit;
use std::path::Path;
use std::slice;

use allograft_inject::{MAGIC, Page, VERSION};
use allograft_tests::{Launch, Mode, ModuleReport, Stage, X64};
use object::{Architecture, NameOrOrdinal, Object};

const MOST_BYTES: usize = 400 * 1024;

#[test]
fn the_module_is_small_and_imports_the_system_only() {
    let stage = Stage::load();
    let bytes = std::fs::read(stage.module()).expect("the module was built");
    assert!(bytes.len() <= MOST_BYTES, "the module has {} bytes", bytes.len());
    for import in image(&bytes).imports().expect("the module has imports") {
        let library = String::from_utf8_lossy(import.unwrap().library()).to_lowercase();
        assert!(
            matches!(library.as_str(), "kernel32.dll" | "ntdll.dll"),
            "the module imports {library}"
        );
    }
}

/// The module as an image, which is one of its machine.
fn image(bytes: &[u8]) -> object::File<'_> {
    let image = object::File::parse(bytes).expect("the module is an image");
    let is_64 = *Stage::load().target == X64;
    let architecture = if is_64 { Architecture::X86_64 } else { Architecture::I386 };
    assert_eq!(image.architecture(), architecture);
    image
}

#[test]
fn the_module_exports_its_c_interface() {
    let bytes = std::fs::read(Stage::load().module()).expect("the module was built");
    let image = image(&bytes);
    let exports: Vec<_> = image.exports().unwrap().filter_map(Result::ok).collect();
    for name in [
        "allograft_version",
        "allograft_active",
        "allograft_owns",
        "allograft_counters",
        "allograft_error",
    ] {
        assert!(
            exports.iter().any(|export| export.name() == NameOrOrdinal::Name(name.as_bytes())),
            "{name} is not exported"
        );
    }
}

fn waiting() -> Launch<'static> {
    Stage::load().program("waiting")
}

#[test]
fn a_second_copy_of_another_name_answers_as_the_first() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("another-name.dll");
    std::fs::copy(stage.module(), &copy).unwrap();
    for mode in [Mode::Early, Mode::Injected] {
        let program = stage.program("second_copy").mode(mode);
        program.path_arg(&copy).run().expect_code(0);
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_one_line_on_standard_error() {
    let run = waiting().mode(Mode::Injected).env("ALLOGRAFT_LOG", r"Z:\nowhere\log.txt").run();
    run.expect_code(0).expect_taken_over();
    run.expect_error_line(&["cannot open the log file", "check ALLOGRAFT_LOG"]);
}

#[test]
fn a_loader_of_plug_ins_takes_the_module_under_the_name_of_one() {
    let stage = Stage::load();
    if stage.microsoft_crts().next().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::copy(stage.module(), plugins.join("allograft.asi")).unwrap();
    let log = plugins.join("log.txt");
    let settings = format!("[allograft]\r\nlog={}\r\n", stage.windows_path(&log));
    std::fs::write(plugins.join("allograft.ini"), settings).unwrap();
    for crt in stage.microsoft_crts() {
        let program = stage.program("asi_loader").on(crt).directory(folder.path());
        let run = program.report_by_variable().run();
        run.expect_code(0).expect_transcript("passed\n").expect_taken_over();
    }
    expect_log(&log);
}

#[test]
fn a_disabled_module_is_loaded_and_takes_over_nothing() {
    for mode in [Mode::Early, Mode::Injected] {
        let run = waiting().mode(mode).env("MIMALLOC_DISABLE_REDIRECT", "1").run();
        run.expect_code(0);
        let report = run.report.as_ref().unwrap_or_else(|| panic!("no report was written\n{run}"));
        assert_eq!(report.state, "disabled", "{run}");
        assert!(report.runtimes.is_empty(), "{run}");
    }
}

#[test]
fn verbose_mimalloc_says_that_the_takeover_worked() {
    let run = waiting().mode(Mode::Early).env("MIMALLOC_VERBOSE", "1").run();
    run.expect_taken_over();
    assert!(run.stderr.contains("ucrtbase"), "nothing was said about the C runtime\n{run}");
}

#[test]
fn a_quiet_module_says_nothing() {
    let run = waiting().mode(Mode::Early).run();
    run.expect_taken_over();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{run}");
}

#[test]
fn log_and_report_go_where_the_environment_says() {
    expect_log_and_report(|_, log, report| {
        let launcher = Stage::load().launcher().env("ALLOGRAFT_LOG", log);
        launcher.env("ALLOGRAFT_REPORT", report).arg("run")
    });
}

#[test]
fn log_and_report_go_where_the_file_beside_the_module_says() {
    expect_log_and_report(|folder, log, report| {
        let module = folder.join("allograft.dll");
        std::fs::copy(Stage::load().module(), &module).unwrap();
        let settings =
            format!("; settings of this copy\r\n[allograft]\r\nlog = {log}\r\nreport={report}\r\n");
        std::fs::write(folder.join("allograft.ini"), settings).unwrap();
        Stage::load().launcher().args(&["run", "--module"]).path_arg(&module)
    });
}

/// Runs a program by what `prepare` returns for a folder and the Windows paths of a log and a
/// report, and expects both to be there.
#[track_caller]
fn expect_log_and_report(prepare: impl Fn(&Path, &str, &str) -> Launch<'static>) {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let (log, report) = (folder.path().join("log.txt"), folder.path().join("report.json"));
    let launcher = prepare(folder.path(), &stage.windows_path(&log), &stage.windows_path(&report));
    launcher.arg("--").path_arg(&stage.programs.join("waiting.exe")).run().expect_code(0);
    expect_log(&log);
    assert!(ModuleReport::read(&report).unwrap().is_active());
}

#[test]
fn a_log_option_names_the_log() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.txt");
    let run = waiting()
        .mode(Mode::Injected)
        .launcher_option("--log")
        .launcher_option(stage.windows_path(&log))
        .run();
    run.expect_taken_over();
    expect_log(&log);
}

#[test]
fn a_page_that_somebody_else_has_made_does_not_tell_the_module_what_to_do() {
    let stage = Stage::load();
    // Administrators, the system; everybody, guests.
    for (owner, used) in [("BA", true), ("SY", true), ("WD", false), ("BG", false)] {
        let folder = tempfile::tempdir().unwrap();
        let (log, page) = (folder.path().join("log.txt"), folder.path().join("page"));
        std::fs::write(&page, page_with_log(&stage.windows_path(&log))).unwrap();
        let run = stage
            .program("planted_page")
            .path_arg(&stage.module())
            .path_arg(&page)
            .args(&[owner, if used { "used" } else { "unused" }])
            .run();
        run.expect_code(0);
        assert_eq!(log.exists(), used, "the owner was {owner}\n{run}");
    }
}

/// The bytes of a status page that asks for a log at the path `log`; whose it is, is left to be
/// filled in.
fn page_with_log(log: &str) -> Vec<u8> {
    // SAFETY: every field is plain data for which all zeroes is a value.
    let mut page: Box<Page> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    page.header.magic = MAGIC;
    page.header.version = VERSION;
    page.header.size = size_of::<Page>() as u32;
    *page.options.present.get_mut() = 1;
    for (unit, place) in log.encode_utf16().zip(&mut page.options.log) {
        *place = unit;
    }
    let start = (&raw const *page).cast::<u8>();
    // SAFETY: the page has no padding: all its bytes are initialised.
    unsafe { slice::from_raw_parts(start, size_of::<Page>()) }.to_vec()
}

#[track_caller]
fn expect_log(log: &Path) {
    let text = std::fs::read_to_string(log).expect("a log was written");
    assert!(text.contains("ucrtbase"), "the log does not say what was taken over: {text}");
}
