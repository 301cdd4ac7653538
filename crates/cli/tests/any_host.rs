//! The command line of `allograft`, by the program itself and on every host.

use std::process::{Command, Output};

/// Variables that say whether to colour, wherever the output goes. `CI` is one of them: a
/// continuous-integration service shows colour though its terminal is `dumb`.
const COLOUR_VARIABLES: [&str; 4] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"];

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
fn the_version_names_the_commit_mimalloc_and_the_processor() {
    let output = allograft(&["--version"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let own = env!("CARGO_PKG_VERSION");
    let rest = text.strip_prefix(&format!("allograft {own} (commit ")).expect("the commit");
    let (commit, rest) = rest.split_once(", mimalloc ").expect("mimalloc's version");
    let (mimalloc, machine) = rest.split_once(", ").expect("the processor");
    let hash = commit.trim_end_matches("-modified");
    let is_hash = hash.len() >= 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(hash == "unknown" || is_hash, "{text}");
    // Where git can be asked, it is the commit that is checked out.
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    if let Some(git) = head.ok().filter(|git| git.status.success() && is_hash) {
        assert!(String::from_utf8_lossy(&git.stdout).starts_with(hash), "{text}");
    }
    assert!(mimalloc.starts_with("3."), "{text}");
    let machines = ["x86-64)\n", "x86)\n", "ARM64)\n"];
    assert!(machines.contains(&machine.replace('\r', "").as_str()), "{text}");
}

/// Has bash complete `words`, and returns what it offers.
#[cfg(unix)]
fn completed_by_bash(words: &[&str]) -> Vec<String> {
    let script = String::from_utf8(allograft(&["completions", "bash"]).stdout).expect("text");
    let ask = r#"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _allograft "$1" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &format!("{script}\n{ask}"), "bash"]).args(words);
    let output = bash.output().expect("bash starts");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_options() {
    let commands = completed_by_bash(&["allograft", ""]);
    for command in ["run", "inject", "status", "patch", "check", "proxy", "bench", "completions"] {
        assert!(commands.iter().any(|one| one == command), "{command} is not in {commands:?}");
    }
    assert!(!commands.iter().any(|one| one == "assist"), "{commands:?}");
    assert_eq!(completed_by_bash(&["allograft", "inj"]), ["inject"]);
    assert_eq!(completed_by_bash(&["allograft", "run", "--fol"]), ["--follow-children"]);
    assert_eq!(completed_by_bash(&["allograft", "completions", "b"]), ["bash"]);
}

#[test]
fn powershell_is_given_the_same_commands_and_options() {
    let output = allograft(&["completions", "powershell"]);
    let script = String::from_utf8(output.stdout).expect("text");
    assert!(script.contains("Register-ArgumentCompleter -Native -CommandName 'allograft'"));
    // Each command and option of the program is a result under the command that it belongs to.
    let results_of = |command: &str| -> Vec<&str> {
        let (_, rest) = script.split_once(&format!("'{command}' {{")).expect(command);
        let (block, _) = rest.split_once("break").expect("the end of the command");
        let results = block.split("[CompletionResult]::new('").skip(1);
        results.filter_map(|result| result.split('\'').next()).collect()
    };
    let commands = results_of("allograft");
    assert!(commands.contains(&"run") && commands.contains(&"--version"), "{commands:?}");
    assert!(!commands.contains(&"assist"), "{commands:?}");
    for command in commands.iter().filter(|name| !name.starts_with('-')) {
        let options = results_of(&format!("allograft;{command}"));
        assert!(options.contains(&"--help"), "{command}: {options:?}");
    }
    assert!(results_of("allograft;run").contains(&"--follow-children"));
}

/// What `check` prints of a file that is not there, with a variable of the environment.
fn checked_with(name: &str, value: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allograft"));
    for name in COLOUR_VARIABLES {
        command.env_remove(name);
    }
    let output = command.args(["check", "no-such.exe"]).env(name, value).output();
    String::from_utf8(output.expect("the command starts").stderr).expect("text")
}

#[test]
fn what_is_no_terminal_gets_no_colour_unless_it_is_forced() {
    let text = checked_with("TERM", "xterm");
    assert!(text.contains("allograft: no-such.exe") && !text.contains('\x1b'), "{text:?}");
    let text = checked_with("CLICOLOR_FORCE", "1");
    assert!(text.contains("\x1b[31mallograft:\x1b[0m no-such.exe"), "{text:?}");
}

/// What `check` prints of a missing file on a terminal, which util-linux's `script` makes.
#[cfg(target_os = "linux")]
fn printed_on_a_terminal(variables: &[(&str, &str)]) -> String {
    let line = format!("{} check no-such.exe", env!("CARGO_BIN_EXE_allograft"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    for name in COLOUR_VARIABLES {
        script.env_remove(name);
    }
    script.env("TERM", "xterm").envs(variables.iter().copied());
    let output = script.stdin(std::process::Stdio::null()).output().expect("`script` starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colour_unless_the_environment_says_no() {
    let coloured = "\x1b[31mallograft:\x1b[0m no-such.exe";
    let text = printed_on_a_terminal(&[]);
    assert!(text.contains(coloured), "{text:?}");
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let text = printed_on_a_terminal(&variables);
        assert!(text.contains("allograft: no-such.exe") && !text.contains('\x1b'), "{text:?}");
    }
    let text = printed_on_a_terminal(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]);
    assert!(!text.contains('\x1b'), "{text:?}");
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
