//! The one table of what is taken over: each heap function, the names that C runtimes export it
//! under, and what becomes of a foreign block in it.

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
pub struct Replacement {
    /// The function.
    pub function: Function,
    /// All names that it is exported under: the public one first, then the `_base` one, then those
    /// of `ucrt.osmode.lib`. A runtime exports some of them; names at one address are one entry.
    pub names: &'static [&'static CStr],
    /// What happens to a foreign block, in words.
    pub foreign: &'static str,
}

const fn row(
    function: Function,
    names: &'static [&'static CStr],
    foreign: &'static str,
) -> Replacement {
    Replacement { function, names, foreign }
}

const NONE: &str = "takes none";
const MIGRATES: &str = "moves to mimalloc";
const FREED: &str = "is freed in the old heap";
const SIZED: &str = "is sized by the old heap";

/// The table.
pub const FUNCTIONS: &[Replacement] = {
    use Function::*;
    &[
        row(Malloc, &[c"malloc", c"_malloc_base", c"_o_malloc", c"_o__malloc_base"], NONE),
        row(Calloc, &[c"calloc", c"_calloc_base", c"_o_calloc", c"_o__calloc_base"], NONE),
        row(Realloc, &[c"realloc", c"_realloc_base", c"_o_realloc", c"_o__realloc_base"], MIGRATES),
        row(Free, &[c"free", c"_free_base", c"_o_free", c"_o__free_base"], FREED),
        // The runtimes' `operator new` calls their `malloc`, and throws where that fails; `operator
        // delete` may be given any block.
        row(
            OperatorDelete,
            if cfg!(target_pointer_width = "64") {
                &[c"??3@YAXPEAX@Z", c"??_V@YAXPEAX@Z"]
            } else {
                &[c"??3@YAXPAX@Z", c"??_V@YAXPAX@Z"]
            },
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

/// Without these a runtime would hand out blocks that it does not take back, or the other way
/// round: it is left alone then.
pub(crate) const ESSENTIAL: &[Function] = {
    use Function::*;
    &[Malloc, Calloc, Realloc, Free, Msize]
};
