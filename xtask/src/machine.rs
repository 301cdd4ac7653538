//! The two kinds of Windows programs, and what differs in how they are built.

use std::path::PathBuf;

use crate::layout::{self, WINDOWS, WINDOWS_32};

/// A kind of Windows programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit programs.
    #[default]
    X64,
    /// 32-bit programs.
    X86,
}

impl Machine {
    /// Its name in messages, and for the harness of the scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Machine::X64 => "x86-64",
            Machine::X86 => "x86",
        }
    }

    /// Rust's name of the target.
    pub fn rust_target(self) -> &'static str {
        match self {
            Machine::X64 => WINDOWS,
            Machine::X86 => WINDOWS_32,
        }
    }

    /// zig's name of the target.
    pub fn zig_target(self) -> &'static str {
        match self {
            Machine::X64 => "x86_64-windows-gnu",
            Machine::X86 => "x86-windows-gnu",
        }
    }

    /// The file names of the module and of the launcher.
    pub fn module_and_launcher(self) -> (&'static str, &'static str) {
        match self {
            Machine::X64 => ("allograft.dll", "allograft.exe"),
            Machine::X86 => ("allograft32.dll", "allograft32.exe"),
        }
    }

    /// The folder of what `build` makes of it, laid out alike for both.
    pub fn stage(self) -> PathBuf {
        match self {
            Machine::X64 => layout::stage(),
            Machine::X86 => layout::stage().join("x86"),
        }
    }
}
