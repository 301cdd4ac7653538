//! A Rust program with a C library from crates.io inside: SQLite, in its own crate, which knows
//! nothing of mimalloc. A table is filled, indexed and summed up before the takeover and after it;
//! the results are the same, and what SQLite allocates comes from another heap.
//!
//! On systems other than Windows SQLite stays on its own heap, and the program says so.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::process::ExitCode;
use std::ptr::null_mut;

use libsqlite3_sys as sqlite;

#[global_allocator]
static HEAP: allograft::Mimalloc = allograft::Mimalloc;

const SUM: &str = "SELECT count(*) || ' rows, ' || sum(length(word)) || ' letters, ' \
    || count(DISTINCT word) || ' words' FROM words";

/// A database in memory.
struct Database(*mut sqlite::sqlite3);

impl Database {
    fn open() -> Result<Database, String> {
        let mut handle = null_mut();
        // SAFETY: the name ends with a zero, and the handle can be written.
        let code = unsafe { sqlite::sqlite3_open(c":memory:".as_ptr(), &mut handle) };
        if code == sqlite::SQLITE_OK { Ok(Database(handle)) } else { Err(format!("error {code}")) }
    }

    /// Runs `statements` and returns the last value that they gave.
    fn run(&self, statements: &str) -> Result<String, String> {
        extern "C" fn keep(
            result: *mut c_void,
            _columns: c_int,
            values: *mut *mut c_char,
            _names: *mut *mut c_char,
        ) -> c_int {
            // SAFETY: SQLite passes on the string of the caller, and one text for each column.
            unsafe {
                let text = CStr::from_ptr(*values).to_string_lossy().into_owned();
                *result.cast::<String>() = text;
            }
            0
        }

        let text = CString::new(statements).map_err(|error| error.to_string())?;
        let mut result = String::new();
        let mut message = null_mut();
        // SAFETY: the database is open, and both results outlive the call.
        let code = unsafe {
            let result = (&raw mut result).cast();
            sqlite::sqlite3_exec(self.0, text.as_ptr(), Some(keep), result, &mut message)
        };
        if code == sqlite::SQLITE_OK {
            return Ok(result);
        }
        // SAFETY: after an error this is a text of SQLite's, which is freed by its own function.
        unsafe {
            let error = CStr::from_ptr(message).to_string_lossy().into_owned();
            sqlite::sqlite3_free(message.cast());
            Err(error)
        }
    }

    fn fill(&self) -> Result<(), String> {
        self.run(
            "CREATE TABLE words (word TEXT);
             WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 20000)
             INSERT INTO words SELECT hex(n * 2654435761 % 5003) || 'x' FROM number;
             CREATE INDEX by_word ON words (word);",
        )
        .map(drop)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: nobody uses the handle any more.
        unsafe { sqlite::sqlite3_close(self.0) };
    }
}

/// Whether what SQLite allocates now is mimalloc's.
fn is_on_mimalloc() -> bool {
    // SAFETY: the block is only looked at, and freed.
    unsafe {
        let block = sqlite::sqlite3_malloc(1000);
        let owned = allograft::owns(block);
        sqlite::sqlite3_free(block);
        owned
    }
}

fn run() -> Result<bool, String> {
    let before = Database::open()?;
    before.fill()?;
    let expected = before.run(SUM)?;
    println!("before: {expected}; SQLite on mimalloc: {}", is_on_mimalloc());
    let installed = allograft::install();
    match &installed {
        Ok(report) => println!("{report}"),
        Err(error) => println!("SQLite stays on its own heap: {error}"),
    }
    // The database from before goes on, its old blocks among mimalloc's.
    before.run(
        "INSERT INTO words SELECT word || word FROM words; DELETE FROM words WHERE rowid > 20000;",
    )?;
    let after = Database::open()?;
    after.fill()?;
    let same = before.run(SUM)? == expected && after.run(SUM)? == expected;
    let owned = is_on_mimalloc();
    println!("after: the same {same}; SQLite on mimalloc: {owned}");
    Ok(same && owned == installed.is_ok())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("SQLite: {error}");
            ExitCode::FAILURE
        }
    }
}
