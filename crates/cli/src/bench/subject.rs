//! What is measured.

use std::ffi::OsString;
use std::path::PathBuf;

/// A program and what it is given.
#[derive(Debug)]
pub struct Subject {
    /// Its name as the user wrote it.
    pub name: OsString,
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Subject {
    /// Its file name, for a person.
    pub fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Its arguments as text; what is no text in them is replaced.
    pub fn argument_texts(&self) -> Vec<String> {
        self.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    /// The whole command, for a person.
    pub fn command(&self) -> String {
        let mut words = vec![self.name.to_string_lossy().into_owned()];
        words.extend(self.argument_texts());
        words.join(" ")
    }
}
