//! `allograft check`: reports whether mimalloc will work in a program, before anyone patches or
//! injects. Reads files only, on any host.

mod text;

use crate::error::Error;
use crate::output::{self, Palette};
use allograft_image::check::{CheckReport, UNSEEN, check};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How many levels of folders below the one given are searched for programs.
const MAX_DEPTH: usize = 4;

const MAX_PROGRAMS: usize = 256;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A program, a DLL, or a folder with programs
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    pub paths: Vec<PathBuf>,
    /// Print JSON, one object for each image
    #[arg(long)]
    pub json: bool,
}

pub const CHECK_MANUAL: &str = "\
Only reads files: it starts nothing and changes nothing. Works on every system.

Examples:
      allograft check game.exe
      allograft check \"C:\\Program Files\\Some Game\"
      allograft check --json java.exe

Exit codes:
  0    every file could be read, whatever the verdict
  125  at least one could not; one line on standard error for each gives the
       reason";

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Report(Box<CheckReport>),
    Refused { path: PathBuf, error: String },
}

/// Checks everything that `args` name. Returns the exit code. A file that cannot be read is
/// reported on standard error and does not stop the others.
pub fn run(args: &CheckArgs) -> Result<u32, Error> {
    let answers: Vec<Answer> = args.paths.iter().flat_map(|path| answers_for(path)).collect();
    let text = if args.json {
        output::pretty_json(&answers)?
    } else {
        in_words(&answers, &Palette::COLOURED)
    };
    let refusals = answers.iter().filter_map(|answer| match answer {
        Answer::Refused { path, error } => Some((path.as_path(), error.as_str())),
        Answer::Report(_) => None,
    });
    output::print_with_refusals(&text, refusals)
}

fn answers_for(path: &Path) -> Vec<Answer> {
    let refused = |error: String| Answer::Refused { path: path.to_owned(), error };
    if !path.is_dir() {
        return vec![answer_for(path)];
    }
    match programs_below(path) {
        Ok(programs) if programs.is_empty() => {
            vec![refused("no program in this folder, nor in those inside it".to_owned())]
        }
        Ok(programs) => programs.iter().map(|program| answer_for(program)).collect(),
        Err(error) => vec![refused(format!("cannot read: {error}"))],
    }
}

fn answer_for(path: &Path) -> Answer {
    match check(path) {
        Ok(report) => Answer::Report(Box::new(report)),
        Err(error) => Answer::Refused { path: path.to_owned(), error: error.to_string() },
    }
}

/// The `.exe` files in `folder` and in the folders inside it, sorted. Links to folders are not
/// followed, and folders inside it that cannot be read are left out.
fn programs_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    fs::read_dir(folder)?;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                    folders.push((entry.path(), depth + 1))
                }
                Ok(kind) if !kind.is_dir() && is_program(&entry.path()) => {
                    programs.push(entry.path())
                }
                _ => {}
            }
        }
        if programs.len() >= MAX_PROGRAMS {
            break;
        }
    }
    programs.sort();
    programs.truncate(MAX_PROGRAMS);
    Ok(programs)
}

fn is_program(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"))
}

/// The report in lines, as `check` prints it, without the path.
pub fn lines_of(report: &CheckReport) -> String {
    let mut text = String::new();
    text::write(&mut text, report, &Palette::PLAIN);
    text.split_once('\n').map_or(String::new(), |(_, lines)| lines.to_owned())
}

fn in_words(answers: &[Answer], palette: &Palette) -> String {
    let mut text = String::new();
    for answer in answers {
        if let Answer::Report(report) = answer {
            text::write(&mut text, report, palette);
            text.push('\n');
        }
    }
    if !text.is_empty() {
        text += UNSEEN;
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_image::ImageSpec;
    use tempfile::TempDir;

    fn game_folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/game.exe"), ImageSpec::default().build()).unwrap();
        let setup = ImageSpec { imports: Vec::new(), ..ImageSpec::default() };
        fs::write(folder.path().join("setup.exe"), setup.build()).unwrap();
        folder
    }

    #[test]
    fn a_folder_gives_an_answer_for_each_program_in_it() {
        let folder = game_folder();
        let text = in_words(&answers_for(folder.path()), &Palette::PLAIN);
        let game = folder.path().join("bin").join("game.exe");
        for line in [
            "verdict                it will work: it imports ucrtbase.dll",
            "verdict                no: it links its C runtime statically, or has none",
            &format!("command                allograft run -- {}", game.display()),
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(text.ends_with("cannot be seen in its files.\n"), "{text}");
    }

    #[test]
    fn the_answer_in_json_has_the_verdict_and_its_command() {
        let folder = game_folder();
        let answers = answers_for(&folder.path().join("bin/game.exe"));
        let report = &serde_json::to_value(answers).unwrap()[0];
        assert_eq!(report["machine"], "x86-64");
        assert_eq!(report["crts"][0]["file"], "ucrtbase.dll");
        assert_eq!(report["verdict"]["works"], true);
        assert_eq!(report["verdict"]["route"], "run");
    }

    #[test]
    fn an_empty_folder_and_a_file_that_is_no_image_are_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("a.txt");
        fs::write(&text, b"text").unwrap();
        for (path, expected) in
            [(folder.path(), "no program in this folder"), (&text, "not a PE image")]
        {
            match &answers_for(path)[..] {
                [Answer::Refused { error, .. }] => assert!(error.starts_with(expected), "{error}"),
                _ => panic!("not refused: {}", path.display()),
            }
        }
    }

    #[test]
    fn programs_are_found_in_inner_folders_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("bin/x64")).unwrap();
        for file in ["a.exe", "b.dll", "bin/x64/C.EXE"] {
            fs::write(root.path().join(file), b"").unwrap();
        }
        let found = programs_below(root.path()).unwrap();
        assert_eq!(found, [root.path().join("a.exe"), root.path().join("bin/x64/C.EXE")]);
    }
}
