//! The table of what is taken over: each heap function, the names that C runtimes export it under,
//! and what it does with a foreign block. Code and documentation take all names from here.

use core::ffi::CStr;

/// A heap function of a C runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the function of that name, and has a row in FUNCTIONS")]
pub enum Function {
    Malloc,
    Calloc,
    Realloc,
    Free,
    OperatorDelete,
    Recalloc,
    Expand,
    Msize,
    AlignedMalloc,
    AlignedRealloc,
    AlignedRecalloc,
    AlignedMsize,
    AlignedFree,
    AlignedOffsetMalloc,
    AlignedOffsetRealloc,
    AlignedOffsetRecalloc,
    Strdup,
    Wcsdup,
    Mbsdup,
    DupenvS,
    WdupenvS,
}

/// One row of the table.
pub struct TakenFunction {
    /// The function.
    pub function: Function,
    /// All names that it is exported under: the public one first, then the `_base` one, then those
    /// of `ucrt.osmode.lib`. A runtime exports some of them; names at one address are one entry.
    pub names: &'static [&'static CStr],
    /// What it does with a foreign block, for the documentation.
    pub foreign: &'static str,
}

const fn row(
    function: Function,
    names: &'static [&'static CStr],
    foreign: &'static str,
) -> TakenFunction {
    TakenFunction { function, names, foreign }
}

const NONE: &str = "takes none";
const MIGRATES: &str = "moves to mimalloc";
const FREED: &str = "is freed in the old heap";
const SIZED: &str = "is sized by the old heap";

/// The table.
pub const FUNCTIONS: &[TakenFunction] = {
    use Function::*;
    &[
        row(Malloc, &[c"malloc", c"_malloc_base", c"_o_malloc", c"_o__malloc_base"], NONE),
        row(Calloc, &[c"calloc", c"_calloc_base", c"_o_calloc", c"_o__calloc_base"], NONE),
        row(Realloc, &[c"realloc", c"_realloc_base", c"_o_realloc", c"_o__realloc_base"], MIGRATES),
        row(Free, &[c"free", c"_free_base", c"_o_free", c"_o__free_base"], FREED),
        // The runtimes' `operator new` calls their `malloc`, and throws where that fails; `operator
        // delete` may be given any block. Pointers have other names in 32-bit runtimes.
        row(
            OperatorDelete,
            &[c"??3@YAXPEAX@Z", c"??_V@YAXPEAX@Z", c"??3@YAXPAX@Z", c"??_V@YAXPAX@Z"],
            FREED,
        ),
        row(Recalloc, &[c"_recalloc", c"_recalloc_base", c"_o__recalloc"], MIGRATES),
        row(
            Expand,
            &[c"_expand", c"_expand_base", c"_o__expand"],
            "shrinks where it lies; does not grow",
        ),
        row(Msize, &[c"_msize", c"_msize_base", c"_o__msize"], SIZED),
        row(AlignedMalloc, &[c"_aligned_malloc", c"_o__aligned_malloc"], NONE),
        row(AlignedRealloc, &[c"_aligned_realloc", c"_o__aligned_realloc"], MIGRATES),
        row(AlignedRecalloc, &[c"_aligned_recalloc", c"_o__aligned_recalloc"], MIGRATES),
        row(AlignedMsize, &[c"_aligned_msize", c"_o__aligned_msize"], SIZED),
        row(AlignedFree, &[c"_aligned_free", c"_o__aligned_free"], FREED),
        row(AlignedOffsetMalloc, &[c"_aligned_offset_malloc", c"_o__aligned_offset_malloc"], NONE),
        row(
            AlignedOffsetRealloc,
            &[c"_aligned_offset_realloc", c"_o__aligned_offset_realloc"],
            MIGRATES,
        ),
        row(
            AlignedOffsetRecalloc,
            &[c"_aligned_offset_recalloc", c"_o__aligned_offset_recalloc"],
            MIGRATES,
        ),
        row(Strdup, &[c"_strdup", c"_o__strdup"], NONE),
        row(Wcsdup, &[c"_wcsdup", c"_o__wcsdup"], NONE),
        row(Mbsdup, &[c"_mbsdup", c"_o__mbsdup"], NONE),
        row(DupenvS, &[c"_dupenv_s", c"_o__dupenv_s"], NONE),
        row(WdupenvS, &[c"_wdupenv_s", c"_o__wdupenv_s"], NONE),
    ]
};

/// A runtime that lacks one of these is left alone: it would hand out blocks that it does not take
/// back, or the reverse.
pub const ESSENTIAL: &[Function] = {
    use Function::*;
    &[Malloc, Calloc, Realloc, Free, Msize]
};

/// The functions of the system's heap, by the names in kernel32 and ntdll, that free, resize or size
/// a block: those by which a runtime could give a block of mimalloc's to the system.
pub const RELEASING: [&CStr; 6] = [
    c"HeapFree",
    c"HeapReAlloc",
    c"HeapSize",
    c"RtlFreeHeap",
    c"RtlReAllocateHeap",
    c"RtlSizeHeap",
];

/// What Wine writes behind the DOS header of its own DLLs, and where.
pub const WINE_MARK: (u32, &[u8]) = (0x40, b"Wine builtin DLL\0");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn names() -> impl Iterator<Item = (&'static TakenFunction, &'static CStr)> {
        FUNCTIONS.iter().flat_map(|row| row.names.iter().map(move |&name| (row, name)))
    }

    #[test]
    fn no_name_and_no_function_comes_twice() {
        let mut known = HashSet::new();
        assert!(names().all(|(_, name)| known.insert(name)));
        let functions: Vec<_> = FUNCTIONS.iter().map(|row| row.function).collect();
        assert!(functions.iter().enumerate().all(|(at, f)| !functions[..at].contains(f)));
    }

    /// `_free_base`, `_o_free` and `_o__free_base` belong to the row of `free`.
    #[test]
    fn derived_names_stand_in_the_row_of_the_public_name() {
        for (row, name) in names().filter(|(row, _)| row.function != Function::OperatorDelete) {
            let public = row.names[0].to_str().unwrap();
            let name = name.to_str().unwrap();
            let plain = name.strip_prefix("_o_").unwrap_or(name);
            let base = format!("_{}_base", public.trim_start_matches('_'));
            assert!(plain == public || plain == base, "{name} in the row of {public}");
        }
    }

    #[test]
    fn every_c_function_has_a_name_for_the_systems_state() {
        for row in FUNCTIONS.iter().filter(|row| row.function != Function::OperatorDelete) {
            let system = format!("_o_{}", row.names[0].to_str().unwrap());
            assert!(row.names.iter().any(|name| name.to_str() == Ok(system.as_str())), "{system}");
        }
    }

    #[test]
    fn what_is_essential_is_in_the_table() {
        let rows = |function| FUNCTIONS.iter().filter(|row| row.function == function).count();
        assert!(ESSENTIAL.iter().all(|&function| rows(function) == 1));
    }
}
