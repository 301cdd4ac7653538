//! The documents against the argument parser: every command line that they show is one that
//! `allograft` understands, and every option that they name is one.

use crate::cli::Cli;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Options in the documents that are other programs' own.
const OF_OTHERS: [&str; 6] =
    ["--avx2", "--help", "--raw-entry", "--redirect-kit", "--skip-collect-on-exit", "--x86"];

/// What users read: the front page and the folder `docs`.
fn documents() -> impl Iterator<Item = (PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.chain([root.join("README.md")]).map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    })
}

/// The texts in code that stand for something to be typed: code spans and lines of code blocks.
fn typed(document: &str) -> Vec<&str> {
    let mut typed = Vec::new();
    let (mut is_code, mut has_output) = (false, false);
    for line in document.lines().map(str::trim_end) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_code = !is_code;
            has_output = is_code && language == "console";
        } else if is_code || line.starts_with("    ") {
            let line = line.trim_start();
            let command = line.strip_prefix("> ");
            typed.extend(if has_output { command } else { command.or(Some(line)) });
        }
    }
    // A span may go over the end of a line, and code blocks have no single backticks.
    let prose = document.split("```").step_by(2);
    for part in prose {
        typed.extend(part.split('`').skip(1).step_by(2));
    }
    typed
}

/// The words of a command line of `allograft`, without a remark at its end or where its output
/// goes; none if it is another's.
fn words_of_ours(line: &str) -> Option<Vec<String>> {
    let line = ["  #", " | ", " >> "]
        .into_iter()
        .fold(line, |line, end| line.split(end).next().unwrap_or(line));
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    let program = words.first()?;
    let name = program.rsplit('\\').next().unwrap_or(program);
    ["allograft", "allograft.exe"].contains(&name).then_some(words)
}

/// Whether the words are the mere name of a command, or what is put before a program.
fn is_beginning(words: &[String]) -> bool {
    words.len() == 2 || words.last().is_some_and(|word| word == "--")
}

/// Whether the command line can be given as it is, or is the beginning of one.
fn is_understood(words: &[String]) -> Result<(), String> {
    match Cli::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(answer) => match answer.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::MissingRequiredArgument if is_beginning(words) => Ok(()),
            _ => Err(answer.to_string()),
        },
    }
}

#[test]
fn every_command_line_that_is_shown_is_understood() {
    let mut count = 0;
    for (path, text) in documents() {
        for line in typed(&text) {
            let Some(words) = words_of_ours(line).filter(|words| words.len() > 1) else { continue };
            count += 1;
            if let Err(complaint) = is_understood(&words) {
                panic!("{} shows `{line}`: {complaint}", path.display());
            }
        }
    }
    assert!(count > 20, "only {count} command lines were found");
}

#[test]
fn every_option_that_is_named_exists() {
    let command = Cli::command();
    let own: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(|command| command.get_arguments())
        .chain(command.get_arguments())
        .filter_map(|argument| argument.get_long())
        .map(|name| format!("--{name}"))
        .collect();
    for (path, text) in documents() {
        for span in typed(&text).into_iter().filter(|span| span.starts_with("--")) {
            let option = span.split([' ', '=']).next().unwrap_or(span);
            assert!(
                own.contains(option) || OF_OTHERS.contains(&option),
                "{} names {option}, which no command has",
                path.display()
            );
        }
    }
}

#[test]
fn what_is_typed_is_told_from_prose() {
    let document = "Type `allograft check\ngame.exe`:\n\n```console\n> allograft check game.exe\nok\n```\n\n    allograft run -- a.exe  # once\n";
    let lines: Vec<_> = typed(document).into_iter().filter_map(words_of_ours).collect();
    let check = ["allograft", "check", "game.exe"];
    assert_eq!(lines, [&check[..], &["allograft", "run", "--", "a.exe"], &check]);
    assert!(is_understood(&lines[0]).is_ok());
    assert!(is_understood(&["allograft".to_owned(), "chek".to_owned()]).is_err());
}
