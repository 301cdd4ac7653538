//! Every text of the window that is not a command's own.

use crate::output::printable;
use std::path::Path;

pub const TITLE: &str = "allograft";

pub const DETAILS: &str = "Details";
pub const FEWER_DETAILS: &str = "Hide";

/// Longest path that is shown whole, in characters.
const LONGEST_PATH: usize = 64;

pub const WELCOME: &str = "mimalloc for a Windows program";
pub const WELCOME_TEXT: &str = "allograft replaces the heap of a program by mimalloc, without \
    rebuilding it. Choose a program, or drop one on allograft.exe.";
pub const CHOOSE: &str = "Choose a program";
pub const CHOOSE_NOTE: &str =
    "Looks at its files and says whether it will work. Nothing is started or changed.";
pub const CHOOSE_OTHER: &str = "Choose another program";
pub const PROGRAM_FILES: &str = "Programs and DLLs";
pub const ALL_FILES: &str = "All files";

pub fn not_a_program(path: &Path) -> String {
    format!("{} is not a program for Windows", short(path))
}
pub const SHORTCUT: &str = "This is a shortcut. Drop the program itself: right-click the shortcut, \
    choose \"Open file location\", and drop the file that you find there.";

pub const FOLDER: &str = "This is a folder. Drop the program that is in it.";

pub fn works(name: &str) -> String {
    format!("{name} will work with mimalloc")
}
pub fn installed(name: &str) -> String {
    format!("{name} loads mimalloc by itself")
}
pub fn will_not_work(name: &str) -> String {
    format!("{name} will not work with mimalloc")
}
pub fn guarded(name: &str) -> String {
    format!("Leave {name} alone: it is guarded by anti-cheat software")
}

pub const RUN: &str = "Run it on mimalloc now";
pub const RUN_NOTE: &str = "This once. Nothing on disk changes.";
pub const RUN_AS_IT_IS: &str = "Run it now";
pub const PROXY: &str = "Always, however it is started";
pub fn proxy_note(name: &str, module: &str, folder: &Path) -> String {
    format!(
        "Writes {name} and {module} to {}. None of the program's own files changes.",
        short(folder)
    )
}
pub const PATCH: &str = "Always, by a patched copy of it";
pub fn patch_note(copy: &Path, module: &str) -> String {
    format!("Writes {} and {module} beside it. Start the copy from then on.", name_of(copy))
}
pub const UNDO: &str = "Undo";
pub fn undo_copy_note(copy: &Path) -> String {
    format!("Deletes the patched copy {}.", name_of(copy))
}
pub fn undo_patch_note(module: &str) -> String {
    format!("Takes {module} out of the program again: it is what it was, byte for byte.")
}
pub fn undo_proxy_note(name: &str) -> String {
    format!("Removes {name}. The program loads the system's again.")
}
pub const BENCH: &str = "Measure what it brings";
pub const BENCH_NOTE: &str = "Runs it 11 times without and 11 times with mimalloc. Only for a \
    program that does its work and ends by itself.";
pub const ELEVATE: &str = "Continue as administrator";
pub fn elevate_note(folder: &Path) -> String {
    format!(
        "You may not write to {}. Opens this window again with an administrator's rights, to make \
         it permanent or to undo that.",
        short(folder)
    )
}
pub const ELEVATE_TO_RUN: &str = "Opens this window again with an administrator's rights, in case \
    the program needs them.";
pub const LIST: &str = "Running programs";
pub const LIST_NOTE: &str = "Which are on mimalloc, and which could be.";
pub const BACK: &str = "Back";
pub const STOP: &str = "Stop";
pub const STOP_NOTE: &str = "Ends the measurement, and the program with it.";

pub fn starting(name: &str) -> String {
    format!("Starting {name}")
}
pub const STARTING_TEXT: &str = "Waiting for the program to load the module.";
pub fn running(name: &str) -> String {
    format!("{name} is running")
}
pub const RUNNING_ON: &str = "You may close this window: the program runs on.";
pub const WORKING: &str = "Working";
pub const WORKING_TEXT: &str = "This takes a moment.";
pub fn measuring(name: &str) -> String {
    format!("Measuring {name}")
}
pub const MEASURING_TEXT: &str = "The first run of each does not count.";
pub const OPEN_PAGE: &str = "Show the charts";
pub fn open_page_note(path: &Path) -> String {
    format!("Opens {} in your browser.", short(path))
}
pub const DONE: &str = "Done";
pub fn ended(name: &str) -> String {
    format!("{name} has ended")
}
pub fn exit_code(code: u32) -> String {
    format!("Its exit code is {}.", code.cast_signed())
}
pub const FAILED: &str = "That did not work";
pub const NO_WORDS: &str = "The command gave no reason.";
pub const MEASURED: &str = "What mimalloc brings";

pub const PROGRAMS: &str = "Running programs";
pub fn programs_text(on_mimalloc: usize, could: usize) -> String {
    format!("On mimalloc: {on_mimalloc}. Could be: {could}.")
}
pub const NO_PROGRAMS: &str = "No program of yours is on mimalloc or could be.";
pub fn hidden(count: usize) -> String {
    format!("{count} more belong to other users, to Windows or to administrators.")
}
pub const ON_MIMALLOC: &str = "on mimalloc";
pub const HAS_MODULE: &str = "has the module, and is on its own heap";
pub const COULD_BE: &str = "could be put on mimalloc";
pub fn process_note(pid: u32, state: &str) -> String {
    format!("Process {pid}: {state}")
}
pub const MORE: &str = "More programs";
pub const INJECT: &str = "Put it on mimalloc now";
pub const INJECT_NOTE: &str = "Suspends it for a moment. What it has allocated stays valid, and \
    moves as the program reallocates it. Ends with the program.";
pub fn process_on_mimalloc(name: &str) -> String {
    format!("{name} is on mimalloc")
}
pub fn process_on_own_heap(name: &str) -> String {
    format!("{name} is on its own heap")
}
pub const DRAINING: &str = "The bar is what is left of the old heap.";
pub const NO_FILE: &str = "Its file cannot be read.";

/// `path` shortened in its middle, so that a line holds it and its end is still seen.
pub fn short(path: &Path) -> String {
    shortened(printable(&path.to_string_lossy()))
}

/// `text` with every word shortened that no line holds: a dialog breaks lines at blanks only.
pub fn fitting(text: &str) -> String {
    text.split_inclusive([' ', '\n']).map(|word| shortened(word.to_owned())).collect()
}

fn shortened(text: String) -> String {
    let count = text.chars().count();
    if count <= LONGEST_PATH {
        return text;
    }
    let tail = LONGEST_PATH * 2 / 3;
    let head: String = text.chars().take(LONGEST_PATH - tail - 1).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

fn name_of(path: &Path) -> String {
    printable(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// What a command prints in columns, for a font whose letters are not all of one width: the blanks
/// behind a label become a colon, and a bar of characters goes, because the window has one.
pub fn without_columns(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let without_bar = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        printable(&match (without_bar, line.split_once("  ")) {
            (Some((_, rest)), _) => rest.trim().to_owned(),
            (None, Some((label, rest))) => format!("{label}: {}", rest.trim()),
            (None, None) => line.to_owned(),
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The figures of a chart of characters, as `bench` prints it, without the bars: a line for each
/// pair of bars.
pub fn without_bars(text: &str) -> String {
    let is_bar = |c: char| ('\u{2588}'..='\u{258F}').contains(&c);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.contains(is_bar)) {
        let words = line.replace(is_bar, " ");
        let words = printable(&words.split_whitespace().collect::<Vec<_>>().join(" "));
        match lines.last_mut() {
            // The second bar of a pair has no label.
            Some(last) if line.starts_with(' ') => *last += &format!(", {words}"),
            _ => lines.push(words),
        }
    }
    lines.join("\n")
}

/// `text` with a capital at its beginning and a full stop at its end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.trim_end().ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_its_beginning_and_its_end() {
        let path = format!("C:\\Games\\{}\\game.exe", "folder\\".repeat(60));
        let shown = short(Path::new(&path));
        assert_eq!(shown.chars().count(), LONGEST_PATH);
        assert!(shown.starts_with("C:\\Games\\") && shown.ends_with("\\game.exe"), "{shown}");
        assert_eq!(short(Path::new("C:\\a.exe")), "C:\\a.exe");
        let hebrew = "שלום\\".repeat(30);
        assert_eq!(short(Path::new(&hebrew)).chars().count(), LONGEST_PATH);
    }

    #[test]
    fn only_words_that_no_line_holds_are_shortened() {
        let path = format!("C:\\{}\\game.exe", "folder".repeat(60));
        let line = format!("allograft check {path}\nand more");
        let shown = fitting(&line);
        assert!(shown.starts_with("allograft check C:\\folder"), "{shown}");
        assert!(shown.contains('…') && shown.ends_with("game.exe\nand more"), "{shown}");
        let usual = "allograft check \"C:\\a folder\\game.exe\"\n";
        assert_eq!(fitting(usual), usual);
    }

    #[test]
    fn columns_become_sentences() {
        let text =
            "  image                  x86-64, DLL\n  [####....] 3 blocks left\nplain line\n\n";
        assert_eq!(without_columns(text), "image: x86-64, DLL\n3 blocks left\nplain line");
    }

    #[test]
    fn a_chart_becomes_its_figures() {
        let text =
            "table\n\nwall time         without  ██▌ 12.3 ms\n                  with     ██ 9 ms\n";
        assert_eq!(without_bars(text), "wall time without 12.3 ms, with 9 ms");
    }

    #[test]
    fn a_reason_becomes_a_sentence() {
        assert_eq!(sentence("it imports a.dll"), "It imports a.dll.");
        assert_eq!(sentence("Done."), "Done.");
    }
}
