//! The folder in which everything is written, and which is gone afterwards.

use crate::error::Error;
use crate::windows::process::Process;
use std::fs;
use std::path::PathBuf;

/// What the name of the folder begins with; the id of the process follows.
const NAME: &str = "allograft-verify-";

/// A folder that is removed with its contents when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, and removes those that earlier runs left because they were killed.
    pub fn new() -> Result<Scratch, Error> {
        let temporary = std::env::temp_dir();
        for entry in fs::read_dir(&temporary).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix(NAME)?.parse().ok());
            if id.is_some_and(|id| Process::observed(id).is_err()) {
                // If it cannot be removed, it does no harm.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = temporary.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&path)
            .map_err(|source| Error::system(format_args!("make {}", path.display()), source))?;
        Ok(Scratch(path))
    }

    /// A folder in it for the check number `number`.
    pub fn folder(&self, number: usize) -> Result<PathBuf, Error> {
        let path = self.0.join(number.to_string());
        fs::create_dir_all(&path)
            .map_err(|source| Error::system(format_args!("make {}", path.display()), source))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a program that has just ended still holds open is let go of soon.
        for _ in 0..20 {
            if fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
