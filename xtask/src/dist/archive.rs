//! The zip: the same bytes whenever and wherever the same files are packed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use time::OffsetDateTime;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::files::files_under;

/// Packs `folder`, under its own name, into the file `zip`. Every file in it has this time; order
/// and permissions do not depend on the machine.
pub fn write(folder: &Path, zip: &Path, time: OffsetDateTime) -> Result<()> {
    pack(folder, zip, time).with_context(|| format!("writing {}", zip.display()))
}

fn pack(folder: &Path, zip: &Path, time: OffsetDateTime) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(zip_time(time)?)
        .unix_permissions(0o644);
    let above = folder.parent().context("the folder has no name")?;
    let mut names = Vec::new();
    for file in files_under(folder)? {
        names.push((file.strip_prefix(above)?.to_string_lossy().replace('\\', "/"), file));
    }
    names.sort();
    let mut writer = ZipWriter::new(BufWriter::new(File::create(zip)?));
    for (name, file) in names {
        writer.start_file(name, options)?;
        io::copy(&mut File::open(&file)?, &mut writer)?;
    }
    writer.finish()?.flush()?;
    Ok(())
}

fn zip_time(time: OffsetDateTime) -> Result<DateTime> {
    let year = u16::try_from(time.year())?;
    let (month, day) = (u8::from(time.month()), time.day());
    DateTime::from_date_and_time(year, month, day, time.hour(), time.minute(), time.second())
        .context("a zip cannot state this time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use zip::ZipArchive;

    /// Packs a folder that is made anew, with its files in this order.
    fn packed(names: [&str; 3], time: i64) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("it-1.0");
        fs::create_dir_all(folder.join("in")).unwrap();
        for name in names {
            fs::write(folder.join(name), name.repeat(1000)).unwrap();
        }
        let zip = scratch.path().join("it.zip");
        write(&folder, &zip, OffsetDateTime::from_unix_timestamp(time).unwrap()).unwrap();
        fs::read(zip).unwrap()
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let first = packed(["b.txt", "a.exe", "in/c.dll"], 1_700_000_000);
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(first == packed(["in/c.dll", "a.exe", "b.txt"], 1_700_000_000));
        assert!(first != packed(["in/c.dll", "a.exe", "b.txt"], 1_700_000_100));
    }

    #[test]
    fn files_have_the_commits_time_and_a_folder_of_their_own() {
        let bytes = packed(["b.txt", "a.exe", "in/c.dll"], 1_700_000_000);
        let mut archive = ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let names: Vec<String> =
            archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["it-1.0/a.exe", "it-1.0/b.txt", "it-1.0/in/c.dll"]);
        let file = archive.by_index(0).unwrap();
        assert_eq!(file.last_modified().unwrap().to_string(), "2023-11-14 22:13:20");
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o644);
    }
}
