//! Folders and input for the programs.

use std::fmt::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::stage::RealPrograms;

/// C++ of `classes` classes without a regular layout, some five lines each when it is formatted.
pub fn badly_formatted_source(classes: usize) -> String {
    let mut text = String::from("#include   <vector>\n");
    for number in 0..classes {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "template<typename T>struct  S{number}{{T value;int f{number}(int a,T b){{if(a>{number}){{return a*{number}+\
             static_cast<int>(b);}}else{{for(int i=0;i<a;++i){{value+=i;}}}}\n\n\nreturn  0;}}}};\
             // a remark about number {number}, long enough that it has to be broken into more than
             // one line of text\n"
        );
    }
    text
}

/// A build of `targets` objects for ninja, each made of files that other steps make.
pub fn ninja_build(targets: usize) -> String {
    let mut text = String::from("rule make\n  command = make-it $in $out\n");
    for number in 0..targets {
        let (library, other) = (number % 97, number * 7 % targets);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "build source/{number}.c: make\n\
             build object/{library}/{number}.o: make source/{number}.c | source/{other}.c\n"
        );
    }
    text
}

/// C with `lines` comments, in each of which words are misspelt.
pub fn misspelt_source(number: usize, lines: usize) -> String {
    let line = |line| {
        // Taken apart, so that these are no mistakes in this file.
        let (teh, adress, recieve) =
            (concat!("t", "eh"), concat!("ad", "ress"), concat!("reci", "eve"));
        format!("int part{number}_{line}; /* {teh} {adress} that lines {line} {recieve} */\n")
    };
    (0..lines).map(line).collect()
}

/// A new folder with copies of `files`, under their own names.
///
/// # Panics
///
/// If they cannot be copied.
pub fn folder_with(files: &[PathBuf]) -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder can be made");
    for file in files {
        let name = file.file_name().expect("a file has a name");
        std::fs::copy(file, folder.path().join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    folder
}

/// The solver z3 and the C++ runtime that it was built for. Wine's own prints stray bytes on
/// Microsoft's newer C runtimes; a launch uses this one by `native("msvcp140")`.
pub fn z3_files(real: &RealPrograms) -> Vec<PathBuf> {
    let libraries = ["msvcp140.dll", "vcruntime140.dll", "vcruntime140_1.dll"];
    let libraries = libraries.map(|name| real.java.with_file_name(name));
    libraries.into_iter().chain([real.z3.clone()]).collect()
}
