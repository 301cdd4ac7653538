//! What the documents show is what is printed: the blocks of code marked `console` in the front page
//! and in `docs` are run, and their output is compared.
//!
//! A line that begins with `> ` is a command; what follows is its output. Numbers and the width of
//! gaps may differ. `…` stands for any text; as a line of its own, for any number of lines. The
//! commands of a document run in its order in one folder, in which `game.exe` is a stand-in. Where a
//! command names a process, the stand-in is running.

use std::fs;
use std::path::{Path, PathBuf};

use allograft_tests::inputs::z3_files;
use allograft_tests::{Launch, ProgramRun, Stage};

/// The folder of the stand-in, as the documents call it.
const FOLDER: &str = r"C:\Games\Game";

/// The process of the stand-in, as the documents call it.
const PROCESS: &str = "4711";

/// A command and the lines that it prints.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The blocks of a document, each a list of commands.
fn blocks(document: &str) -> Vec<Vec<Shown>> {
    let fenced = document.split("```console\n").skip(1);
    fenced.map(|rest| commands(rest.split("```").next().unwrap_or(rest))).collect()
}

fn commands(block: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            // A remark behind the command is not part of it.
            let command = command.split("  #").next().unwrap_or(command).trim();
            commands.push(Shown { command: command.to_owned(), output: Vec::new() });
        } else if let Some(last) = commands.last_mut() {
            last.output.push(line.to_owned());
        }
    }
    for shown in &mut commands {
        while shown.output.last().is_some_and(String::is_empty) {
            shown.output.pop();
        }
    }
    commands
}

/// The front page and the documents with such blocks.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.push(root.join("README.md"));
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// A folder with what the documents' commands work on.
fn folder() -> tempfile::TempDir {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path, name: &str| {
        fs::copy(from, folder.path().join(name)).unwrap();
    };
    copy(&stage.programs.join("waiting.exe"), "game.exe");
    // As small as can be: what is shown is not how long it takes.
    let problem = "(declare-const x Int) (assert (> (* x x) 2)) (check-sat)";
    fs::write(folder.path().join("problem.smt2"), problem).unwrap();
    for file in z3_files(&stage.real) {
        copy(&file, file.file_name().unwrap().to_str().unwrap());
    }
    folder
}

#[test]
fn what_the_documents_show_is_what_is_printed() {
    let mut count = 0;
    for (path, text) in documents() {
        let folder = folder();
        for block in blocks(&text) {
            count += block.len();
            run_block(&path, folder.path(), &block);
        }
    }
    assert!(count > 10, "only {count} commands were found in the documents");
}

fn run_block(document: &Path, folder: &Path, block: &[Shown]) {
    let run_all = |process: &str| {
        for shown in block {
            check(document, shown, &run(folder, &shown.command, process), process);
        }
    };
    let names_a_process = |shown: &Shown| {
        ["--pid", "--name", "--all"].iter().any(|option| shown.command.contains(option))
    };
    if block.iter().any(names_a_process) {
        let game = Launch::new(Stage::load(), folder.join("game.exe"));
        game.run_meeting(|id| run_all(&id.to_string())).expect_code(0);
    } else {
        run_all(PROCESS);
    }
}

/// Runs a command of the documents in `folder`.
fn run(folder: &Path, command: &str, process: &str) -> ProgramRun {
    let stage = Stage::load();
    let (program, arguments) = command.split_once(' ').unwrap_or((command, ""));
    assert_eq!(program, "allograft", "`{command}` is not a command that this test can run");
    let arguments = arguments.replace(PROCESS, process).replace(FOLDER, ".");
    let launcher = Launch::new(stage, stage.bin.join("allograft.exe")).native("msvcp140");
    launcher.args(&arguments.split_whitespace().collect::<Vec<_>>()).directory(folder).run()
}

/// Panics unless the command printed what is shown; one that shows nothing must only succeed.
fn check(document: &Path, shown: &Shown, run: &ProgramRun, process: &str) {
    let is_failure = shown.output.iter().any(|line| line.starts_with("allograft: "));
    assert_eq!(
        run.code == Some(0),
        !is_failure,
        "{} shows `{}`\n{run}",
        document.display(),
        shown.command
    );
    if shown.output.is_empty() {
        return;
    }
    let printed = format!("{}{}", run.stdout, run.stderr).replace(process, PROCESS);
    let printed: Vec<String> = printed.lines().map(comparable).collect();
    let expected: Vec<String> = shown.output.iter().map(|line| comparable(line)).collect();
    assert!(
        lines_match(&expected, &printed),
        "{} shows for `{}`:\n{}\nbut this was printed:\n{run}",
        document.display(),
        shown.command,
        shown.output.join("\n")
    );
}

/// A line without what differs from run to run: numbers, and the gaps that they leave.
fn comparable(line: &str) -> String {
    let mut text = String::new();
    for c in line.trim().chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            ' ' | '─' if text.ends_with(c) => {}
            _ => text.push(c),
        }
    }
    text.replace("#.#", "#").replace("#,#", "#")
}

fn lines_match(expected: &[String], printed: &[String]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        ([first, rest @ ..], [line, more @ ..]) => {
            line_matches(first, line) && lines_match(rest, more)
        }
        _ => false,
    }
}

fn line_matches(expected: &str, printed: &str) -> bool {
    match expected.split_once('…') {
        None => expected == printed,
        Some((before, behind)) => printed.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| line_matches(behind, &rest[at..]))
        }),
    }
}

#[test]
fn commands_and_their_output_are_read_from_blocks() {
    let document = "Text\n\n```console\n> allograft check game.exe  # first\nok\n\n> allograft run\n```\n\n```\n> not this\n```\n";
    let shown = |command: &str, output: &[&str]| Shown {
        command: command.to_owned(),
        output: output.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        blocks(document),
        [[shown("allograft check game.exe", &["ok"]), shown("allograft run", &[])]]
    );
}

#[test]
fn output_may_differ_in_numbers_gaps_and_where_an_ellipsis_is() {
    let lines = |text: &str| text.lines().map(comparable).collect::<Vec<_>>();
    let printed = lines("took  12 ms\nC:\\a\\game.exe: fine\nmore\nlast 1,234 of 5.6");
    assert!(lines_match(&lines("took 0.8 ms\n…game.exe: fine\n…\nlast 7 of 8"), &printed));
    for wrong in ["took 0.8 s\n…", "…\nlast", "took 1 ms\n…game.exe: fine\nlast 7 of 8"] {
        assert!(!lines_match(&lines(wrong), &printed), "{wrong}");
    }
}
