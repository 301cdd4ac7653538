//! Names for the linker that are not exported from the module.

/// Gives a function a name by which C code, the compiler and the linker find it.
///
/// `#[no_mangle]` would do it too, and would export the name from the DLL: a module that is loaded
/// into other people's programs should export what it is asked for, and nothing else.
#[macro_export]
macro_rules! c_symbol {
    ($name:literal, $function:path) => {
        #[cfg(not(target_arch = "x86"))]
        core::arch::global_asm!(
            concat!(".globl ", $name),
            concat!($name, ": jmp {function}"),
            function = sym $function
        );
        #[cfg(target_arch = "x86")]
        core::arch::global_asm!(
            concat!(".globl _", $name),
            concat!("_", $name, ": jmp {function}"),
            function = sym $function
        );
    };
}
