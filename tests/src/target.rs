//! The two kinds of Windows programs that the project builds, and what their tools call them.

use allograft_machine::Machine;

/// A kind of Windows programs. There are two: [`X64`] and [`X86`].
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The processor type.
    pub machine: Machine,
    /// Rust's name of the target.
    pub rust: &'static str,
    /// zig's name of the processor type, as in `x86_64-windows-gnu`.
    pub zig: &'static str,
    /// What `dlltool -m` calls the processor type.
    pub dlltool: &'static str,
    /// What compilers put before the name of a C function.
    pub symbol_prefix: &'static str,
    /// The folder for what programs are linked with, below the one for 64-bit programs.
    pub folder: &'static str,
    /// The folder of the system's DLLs, below `C:\windows`.
    pub system_folder: &'static str,
    /// The module that mimalloc's own `mimalloc.dll` imports.
    pub redirection_module: &'static str,
    /// The cargo feature of a module for newer processors.
    pub newer_feature: &'static str,
    /// The file name of that module, which only `dist` lays out.
    pub newer_module: &'static str,
}

/// 64-bit programs.
pub static X64: Target = Target {
    machine: Machine::X64,
    rust: "x86_64-pc-windows-gnu",
    zig: "x86_64",
    dlltool: "i386:x86-64",
    symbol_prefix: "",
    folder: "",
    system_folder: "system32",
    redirection_module: "mimalloc-redirect.dll",
    newer_feature: "avx2",
    newer_module: "allograft-avx2.dll",
};

/// 32-bit programs. The launcher that starts them is the 64-bit one all the same.
pub static X86: Target = Target {
    machine: Machine::X86,
    rust: "i686-pc-windows-gnu",
    zig: "x86",
    dlltool: "i386",
    symbol_prefix: "_",
    folder: "x86",
    system_folder: "syswow64",
    redirection_module: "mimalloc-redirect32.dll",
    newer_feature: "sse42",
    newer_module: "allograft32-sse42.dll",
};

impl Target {
    /// The file name of the module.
    pub fn module(&self) -> &'static str {
        self.machine.module_name().expect("there is a module for both targets")
    }

    /// The file name of the module that checks every free.
    pub fn checking_module(&self) -> &'static str {
        self.machine.checking_module_name().expect("there is one for both targets")
    }

    /// The file name of the launcher.
    pub fn launcher(&self) -> &'static str {
        self.machine.launcher_name().expect("there is a launcher for both targets")
    }
}

/// 64-bit programs.
impl Default for &'static Target {
    fn default() -> Self {
        &X64
    }
}
