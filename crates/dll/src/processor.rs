//! Whether this processor can run this build.

/// What the processor lacks, in words; none if it lacks nothing.
pub(crate) fn lacks() -> Option<&'static str> {
    if cfg!(feature = "avx2") && !has_avx2() {
        return Some(
            "this build of the module needs a processor with AVX2 (2013 and later): use the ordinary one",
        );
    }
    None
}

/// AVX2, BMI1, BMI2 and LZCNT in the processor, and AVX's registers kept by the system: what `-march=haswell` uses.
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
    fn kept_registers() -> u64 {
        // SAFETY: called where OSXSAVE says that the instruction exists.
        unsafe { _xgetbv(0) }
    }

    let has = |bits: u32, wanted: u32| bits & wanted == wanted;
    let basic = __cpuid(1).ecx;
    if __cpuid(0).eax < 7 || !has(basic, OSXSAVE_AND_AVX | FMA_MOVBE_POPCNT) {
        return false;
    }
    // SAFETY: OSXSAVE is there.
    let kept = unsafe { kept_registers() };
    kept & XMM_AND_YMM == XMM_AND_YMM
        && has(__cpuid_count(7, 0).ebx, BMI1_AVX2_BMI2)
        && __cpuid(0x8000_0000).eax > 0x8000_0000
        && has(__cpuid(0x8000_0001).ecx, LZCNT)
}
