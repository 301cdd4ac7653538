//! Whether this build can run on the processor, and take over programs there.

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::GetCurrentProcess;
use windows_sys::core::{BOOL, s, w};

/// Why this build cannot run here, in words; none if it can.
pub(crate) fn obstacle() -> Option<&'static str> {
    if cfg!(feature = "avx2") && !has_avx2() {
        return Some(
            "this build of the module needs a processor with AVX2 (2013 and later): use the ordinary one",
        );
    }
    if cfg!(feature = "sse42") && !has_sse42() {
        return Some(
            "this build of the module needs a processor with SSE4.2 and POPCNT (2008 and later): use the ordinary one",
        );
    }
    if is_emulated() {
        return Some(
            "the program is emulated on an ARM processor, where the C runtime has a second body of native code that no jump over \
             its functions would catch: run a native build of the program",
        );
    }
    None
}

/// Whether the processor is an ARM64 one, which runs this code by emulation.
fn is_emulated() -> bool {
    type IsWow64Process2 = unsafe extern "system" fn(HANDLE, *mut u16, *mut u16) -> BOOL;
    const ARM64: u16 = 0xAA64;

    // SAFETY: both names are NUL-terminated, and kernel32 is always loaded.
    let function =
        unsafe { GetProcAddress(GetModuleHandleW(w!("kernel32.dll")), s!("IsWow64Process2")) };
    // Windows versions without it (before 10.0.10586) do not run on ARM64.
    let Some(function) = function else {
        return false;
    };
    let (mut emulated, mut native) = (0, 0);
    // SAFETY: the function has this type, and writes two numbers.
    let succeeded = unsafe {
        let is_wow64_process2 =
            core::mem::transmute::<unsafe extern "system" fn() -> isize, IsWow64Process2>(function);
        is_wow64_process2(GetCurrentProcess(), &mut emulated, &mut native)
    };
    succeeded != 0 && native == ARM64
}

/// SSE3 to SSE4.2 and POPCNT: what `-march=nehalem` uses.
fn has_sse42() -> bool {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::__cpuid;
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::__cpuid;

    const SSE3_TO_SSE42_AND_POPCNT: u32 = 1 | 1 << 9 | 1 << 19 | 1 << 20 | 1 << 23;
    __cpuid(1).ecx & SSE3_TO_SSE42_AND_POPCNT == SSE3_TO_SSE42_AND_POPCNT
}

/// AVX2, BMI1, BMI2 and LZCNT in the processor, and AVX's registers saved by the system: what
/// `-march=haswell` uses.
fn has_avx2() -> bool {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{__cpuid, __cpuid_count, _xgetbv};
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    const FMA_MOVBE_POPCNT: u32 = 1 << 12 | 1 << 22 | 1 << 23;
    const BMI1_AVX2_BMI2: u32 = 1 << 3 | 1 << 5 | 1 << 8;
    const LZCNT: u32 = 1 << 5;
    const XMM_AND_YMM: u64 = 0b110;

    #[target_feature(enable = "xsave")]
    fn enabled_registers() -> u64 {
        // SAFETY: the caller has checked OSXSAVE: the instruction exists.
        unsafe { _xgetbv(0) }
    }

    let has = |bits: u32, wanted: u32| bits & wanted == wanted;
    let basic = __cpuid(1).ecx;
    if __cpuid(0).eax < 7 || !has(basic, OSXSAVE_AND_AVX | FMA_MOVBE_POPCNT) {
        return false;
    }
    // SAFETY: `basic` has OSXSAVE, and so the processor has XSAVE.
    let enabled = unsafe { enabled_registers() };
    enabled & XMM_AND_YMM == XMM_AND_YMM
        && has(__cpuid_count(7, 0).ebx, BMI1_AVX2_BMI2)
        && __cpuid(0x8000_0000).eax > 0x8000_0000
        && has(__cpuid(0x8000_0001).ecx, LZCNT)
}
