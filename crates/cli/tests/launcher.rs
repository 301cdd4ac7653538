//! `run` and `inject` without a working module: the program behaves as if it were started directly,
//! and failures are reported. A system DLL takes the module's place.

#![cfg(windows)]

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// Makes a process of this test binary act as the program; its value says what the program does.
const ACT: &str = "ALLOGRAFT_TEST_ACT";

/// Not a test: the program that the launcher runs. The arguments of a test binary can name a test
/// but no other function.
#[test]
fn the_program() {
    match env::var(ACT).as_deref() {
        Ok("exit") => std::process::exit(0xC000_0005_u32 as i32),
        Ok("copy") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).expect("input");
            print!("<{text}>");
            eprint!("copied");
        }
        Ok("arguments") => {
            for argument in env::args_os() {
                println!("argument {argument:?}");
            }
        }
        Ok("folder") => println!("folder {:?}", env::current_dir().expect("a folder")),
        Ok("sleep") => {
            println!("awake");
            thread::sleep(Duration::from_secs(60));
        }
        Ok(other) => panic!("no such act: {other}"),
        Err(_) => {}
    }
}

/// A DLL that can be loaded and is no module of allograft.
fn no_module() -> PathBuf {
    PathBuf::from(env::var_os("SystemRoot").expect("a system")).join(r"system32\version.dll")
}

/// `allograft COMMAND --module MODULE`
fn allograft(command: &str, module: impl AsRef<OsStr>) -> Command {
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_allograft"));
    launcher.args([command, "--module"]).arg(module);
    launcher
}

const AS_THE_PROGRAM: [&str; 3] = ["--exact", "the_program", "--nocapture"];

fn this_binary() -> PathBuf {
    env::current_exe().expect("this binary")
}

/// The launcher about to run this binary as the program that does `act`.
fn run(act: &str, options: &[&str]) -> Command {
    let mut launcher = allograft("run", no_module());
    launcher.args(options).arg("--").arg(this_binary()).args(AS_THE_PROGRAM).env(ACT, act);
    launcher
}

fn inject(option: &str, value: impl AsRef<OsStr>) -> Output {
    output(allograft("inject", no_module()).arg(option).arg(value))
}

fn output(launcher: &mut Command) -> Output {
    launcher.output().expect("the launcher starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

/// The one line on standard error, without the launcher's name.
fn line_of(output: &Output) -> String {
    let text = text(&output.stderr);
    let line = text.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "more than one line: {text}");
    line.strip_prefix("allograft: ").expect("our name first").to_owned()
}

fn assert_fails(output: &Output, code: i32, words: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    let line = line_of(output);
    assert!(line.contains(words), "{line}");
}

/// A running process of this binary that does nothing. Dropped, it ends.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        let mut child = Command::new(this_binary())
            .args(AS_THE_PROGRAM)
            .env(ACT, "sleep")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.as_mut().expect("a pipe")).lines();
        assert!(lines.any(|line| line.expect("it speaks").contains("awake")));
        Sleeper(child)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().expect("it ends");
        self.0.wait().expect("it has ended");
    }
}

#[test]
fn all_32_bits_of_the_exit_code_are_the_programs() {
    for options in [&[][..], &["--late", "0"]] {
        let output = output(&mut run("exit", options));
        assert_eq!(output.status.code(), Some(0xC000_0005_u32 as i32));
    }
}

#[test]
fn the_standard_streams_are_the_programs() {
    let mut launcher = run("copy", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the launcher starts");
    let mut input = launcher.stdin.take().expect("a pipe");
    input.write_all(b"one\ntwo").expect("it reads");
    drop(input);
    let output = launcher.wait_with_output().expect("it ends");
    assert!(text(&output.stdout).contains("<one\ntwo>"));
    assert!(text(&output.stderr).contains("copied"));
}

#[test]
fn the_arguments_arrive_as_they_were() {
    let arguments = ["", "a b", r#"say "hi""#, r"C:\end with\", r#"\\"\"#, "ä\u{1F600}"];
    let output = text(&output(run("arguments", &[]).args(arguments)).stdout);
    for argument in arguments {
        assert!(output.contains(&format!("argument {argument:?}\n")), "{output}");
    }
}

#[test]
fn the_current_folder_is_the_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = text(&output(run("folder", &[]).current_dir(folder.path())).stdout);
    let name = folder.path().file_name().expect("a name");
    assert!(output.contains(name.to_str().expect("a plain name")), "{output}");
}

#[test]
fn a_module_that_writes_no_status_is_reported_and_the_program_runs() {
    let output = output(run("copy", &[]).stdin(Stdio::null()));
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("<>"));
    assert!(text(&output.stderr).contains("runs on its own heap: Windows did not load"));
}

#[test]
fn a_program_that_ends_before_the_late_loading_is_reported() {
    let output = output(&mut run("exit", &["--late", "60000"]));
    assert_eq!(output.status.code(), Some(0xC000_0005_u32 as i32));
    assert!(line_of(&output).contains("ended before the 60000 ms"));
}

#[test]
fn a_program_that_is_not_there_exits_with_127() {
    let output = output(allograft("run", no_module()).args(["--", "no-such-program"]));
    assert_fails(&output, 127, "no-such-program: not found");
}

#[test]
fn a_file_that_is_no_program_exits_with_126() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, words) in [("notes.txt", "not a program for Windows"), ("build.cmd", "batch file")] {
        let path = folder.path().join(name);
        std::fs::write(&path, "echo hello").expect("it is written");
        let output = output(allograft("run", no_module()).arg(&path));
        assert_fails(&output, 126, words);
    }
}

#[test]
fn a_module_that_is_not_there_or_no_dll_exits_with_125() {
    let this = this_binary();
    for (module, words) in
        [(OsStr::new("no-such.dll"), "no module at"), (this.as_os_str(), "it is not a DLL")]
    {
        let output = output(allograft("run", module).args(["--", "anything"]));
        assert_fails(&output, 125, words);
    }
}

#[test]
fn a_process_that_is_not_there_exits_with_125() {
    let output = inject("--name", "no-such-program");
    assert_fails(&output, 125, "no process runs no-such-program");
    let output = inject("--pid", "4294967292");
    assert_fails(&output, 125, "no process has the id 4294967292");
}

#[test]
fn a_process_that_does_not_take_the_module_runs_on() {
    let mut sleeper = Sleeper::start();
    let output = inject("--pid", sleeper.0.id().to_string());
    assert_fails(&output, 125, "was not taken over and keeps running untouched");
    assert!(sleeper.0.try_wait().expect("it can be asked").is_none());
}

#[test]
fn several_processes_of_one_name_are_listed() {
    let sleepers = [Sleeper::start(), Sleeper::start()];
    let output = inject("--name", this_binary().file_name().expect("a name"));
    assert_fails(&output, 125, "choose one with --pid");
    let line = line_of(&output);
    for sleeper in &sleepers {
        assert!(line.contains(&sleeper.0.id().to_string()), "{line}");
    }
}
