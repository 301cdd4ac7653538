//! The two kinds of Windows programs, and what differs in how they are built.

use std::path::{Path, PathBuf};

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

    /// The name of the target for `dlltool`.
    pub fn dlltool_target(self) -> &'static str {
        match self {
            Machine::X64 => "i386:x86-64",
            Machine::X86 => "i386",
        }
    }

    /// The symbol of a C function called `function`, which linkers are to be told of.
    pub fn symbol_of(self, function: &str) -> String {
        match self {
            Machine::X64 => function.to_owned(),
            Machine::X86 => format!("_{function}"),
        }
    }

    /// The file name of the module that mimalloc's own `mimalloc.dll` imports.
    pub fn redirection_module(self) -> &'static str {
        match self {
            Machine::X64 => "mimalloc-redirect.dll",
            Machine::X86 => "mimalloc-redirect32.dll",
        }
    }

    /// The file name of the module for newer processors, which is only handed out.
    pub fn newer_module(self) -> &'static str {
        match self {
            Machine::X64 => "allograft-avx2.dll",
            Machine::X86 => "allograft32-sse42.dll",
        }
    }

    /// The folder under `root` of what programs of this kind are linked with.
    pub fn developer_files(self, root: &Path) -> PathBuf {
        match self {
            Machine::X64 => root.to_owned(),
            Machine::X86 => root.join("x86"),
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
        self.developer_files(&layout::stage())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_functions_have_an_underscore_before_their_names_in_32_bits_alone() {
        assert_eq!(Machine::X64.symbol_of("mi_version"), "mi_version");
        assert_eq!(Machine::X86.symbol_of("mi_version"), "_mi_version");
    }

    #[test]
    fn what_32_bit_programs_are_linked_with_has_a_folder_of_its_own() {
        let root = Path::new("dist");
        assert_eq!(Machine::X64.developer_files(root), root);
        assert_eq!(Machine::X86.developer_files(root), root.join("x86"));
    }
}
