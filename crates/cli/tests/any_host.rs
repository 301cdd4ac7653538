//! The command line of `allograft`, by the program itself and on every host.

use std::process::{Command, Output};

fn allograft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_allograft"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn complaint(output: &Output) -> &str {
    let text = str::from_utf8(&output.stderr).expect("text");
    let line = text.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "more than one line: {text}");
    line.strip_prefix("allograft: ").expect("our name first")
}

#[test]
fn the_version_names_mimallocs_too() {
    let output = allograft(&["--version"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let own = env!("CARGO_PKG_VERSION");
    assert!(text.starts_with(&format!("allograft {own} (mimalloc ")), "{text}");
}

#[test]
fn the_manual_goes_to_standard_output() {
    for arguments in [&["--help"][..], &["run", "--help"], &["inject", "--help"]] {
        let output = allograft(arguments);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_wrong_command_line_exits_with_125_and_one_line() {
    for arguments in [
        &[][..],
        &["run"],
        &["inject"],
        &["inject", "--pid", "x"],
        &["inject", "--pid", "1", "--name", "a"],
        &["status"],
        &["status", "--pid", "1", "--all"],
        &["frobnicate"],
        &["run", "--late", "-1", "--", "a"],
        &["run", "--lat", "1", "--", "a"],
    ] {
        let output = allograft(arguments);
        assert_eq!(output.status.code(), Some(125));
        assert!(complaint(&output).ends_with("(`allograft --help` is the manual)"));
    }
}

#[test]
fn the_complaint_names_what_is_missing() {
    assert_eq!(
        complaint(&allograft(&["run"])),
        "the following required arguments were not provided: <PROGRAM> [ARGS]... \
         (`allograft --help` is the manual)"
    );
}

#[cfg(not(windows))]
#[test]
fn what_needs_windows_says_so() {
    for arguments in [&["run", "--", "program"][..], &["inject", "--pid", "1"]] {
        let output = allograft(arguments);
        assert_eq!(output.status.code(), Some(125));
        assert_eq!(
            complaint(&output),
            format!(
                "`allograft {}` works on Windows processes: use it on Windows or under Wine",
                arguments[0]
            )
        );
    }
}
