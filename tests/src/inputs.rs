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
