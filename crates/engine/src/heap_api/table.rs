//! The table of the heap API: which of the system's functions are redirected, under which names
//! they are known, and what each does with a block of mimalloc's. Code and documentation take all
//! names from here.

use core::ffi::CStr;

/// A function of the system that allocates, takes or frees blocks of a heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is ntdll's function of that name, and has a row in the table")]
pub enum HeapFunction {
    AllocateHeap,
    FreeHeap,
    ReAllocateHeap,
    SizeHeap,
    ValidateHeap,
    GetUserInfoHeap,
    SetUserValueHeap,
    SetUserFlagsHeap,
    DestroyHeap,
    FreeUnicodeString,
    FreeAnsiString,
    FreeOemString,
    FreeUtf8String,
    FreeSid,
    DestroyEnvironment,
    DestroyProcessParameters,
    SetCurrentEnvironment,
    SetEnvironmentVariable,
    SetEnvironmentVar,
    DeleteSecurityObject,
    SetSecurityObject,
    SetSecurityObjectEx,
}

/// One row of the table.
pub struct HeapApiFunction {
    /// The function.
    pub function: HeapFunction,
    /// The name that ntdll exports it under.
    pub native: &'static CStr,
    /// The names of the functions of kernelbase and kernel32 that do nothing but call it. Where
    /// these forward the name instead, its address is ntdll's.
    pub names: &'static [&'static CStr],
    /// What it does with a block of mimalloc's, for the documentation.
    pub owned: &'static str,
}

const fn row(
    function: HeapFunction,
    native: &'static CStr,
    names: &'static [&'static CStr],
    owned: &'static str,
) -> HeapApiFunction {
    HeapApiFunction { function, native, names, owned }
}

const COPIED: &str = "gets a copy of it from the process's heap";

/// The table. All of these accept blocks of mimalloc's from any module, whatever heap they are
/// given; [`HeapFunction::AllocateHeap`] alone hands them out.
pub const HEAP_FUNCTIONS: &[HeapApiFunction] = {
    use HeapFunction::*;
    &[
        row(AllocateHeap, c"RtlAllocateHeap", &[c"HeapAlloc"], "hands it out"),
        row(FreeHeap, c"RtlFreeHeap", &[c"HeapFree"], "frees it"),
        row(ReAllocateHeap, c"RtlReAllocateHeap", &[c"HeapReAlloc"], "resizes it"),
        row(SizeHeap, c"RtlSizeHeap", &[c"HeapSize"], "returns the size that was asked for"),
        row(ValidateHeap, c"RtlValidateHeap", &[c"HeapValidate"], "returns TRUE"),
        row(GetUserInfoHeap, c"RtlGetUserInfoHeap", &[], "returns the block itself, and no flags"),
        row(SetUserValueHeap, c"RtlSetUserValueHeap", &[], "returns FALSE: it has no user value"),
        row(SetUserFlagsHeap, c"RtlSetUserFlagsHeap", &[], "returns FALSE: it has no user flags"),
        row(DestroyHeap, c"RtlDestroyHeap", &[], "frees those of the heap"),
        // What follows frees, inside ntdll, a block that the caller has allocated.
        row(FreeUnicodeString, c"RtlFreeUnicodeString", &[], COPIED),
        row(FreeAnsiString, c"RtlFreeAnsiString", &[], COPIED),
        row(FreeOemString, c"RtlFreeOemString", &[], COPIED),
        row(FreeUtf8String, c"RtlFreeUTF8String", &[], COPIED),
        row(FreeSid, c"RtlFreeSid", &[], COPIED),
        row(DestroyEnvironment, c"RtlDestroyEnvironment", &[], COPIED),
        row(DestroyProcessParameters, c"RtlDestroyProcessParameters", &[], COPIED),
        row(SetCurrentEnvironment, c"RtlSetCurrentEnvironment", &[], COPIED),
        row(SetEnvironmentVariable, c"RtlSetEnvironmentVariable", &[], COPIED),
        row(SetEnvironmentVar, c"RtlSetEnvironmentVar", &[], COPIED),
        row(DeleteSecurityObject, c"RtlDeleteSecurityObject", &[], COPIED),
        row(SetSecurityObject, c"RtlSetSecurityObject", &[], COPIED),
        row(SetSecurityObjectEx, c"RtlSetSecurityObjectEx", &[], COPIED),
    ]
};

/// How many functions there are.
pub(crate) const FUNCTION_COUNT: usize = HEAP_FUNCTIONS.len();

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_functions_and_no_name_comes_twice() {
        let mut known = HashSet::new();
        for (index, row) in HEAP_FUNCTIONS.iter().enumerate() {
            assert_eq!(row.function as usize, index, "{:?}", row.function);
            assert!(known.insert(row.native), "{:?}", row.native);
            assert!(row.names.iter().all(|name| known.insert(name)), "{:?}", row.names);
        }
    }

    #[test]
    fn every_function_is_called_as_ntdll_calls_it() {
        for row in HEAP_FUNCTIONS {
            let name = format!("Rtl{:?}", row.function).replace("Utf8", "UTF8");
            assert_eq!(row.native.to_str(), Ok(name.as_str()));
        }
    }
}
