//! The replacements of the runtimes' functions, as far as the hot entries do not do it all: they
//! keep the contract of the C runtime for mimalloc's blocks and for foreign ones.
//!
//! The functions here are cold. They are generic over the slot of the runtime that was called,
//! because a jump carries no argument that identifies it; [`entry`] picks the instance. They run on
//! any thread of the program, with any lock held, and must not call a function that is replaced.
//! Each `unsafe extern "C"` function has the contract of the function whose name its comment gives.

mod aligned;
mod blocks;
mod environment;
mod plain;
mod strings;

use allograft_heap::{ColdPaths, RUNTIMES};

use crate::functions::Function;

/// What the hot entries leave to the engine.
pub const COLD_PATHS: ColdPaths = ColdPaths {
    allocate: plain::allocate_for,
    reallocate: plain::reallocate_for,
    release: plain::release_for,
    usable_size: plain::usable_size_for,
    allocate_aligned: aligned::allocate_for,
    release_aligned: aligned::release_for,
};

/// The addresses of the instances of a cold function for all slots.
macro_rules! instances {
    ($module:ident::$function:ident) => {
        instances!($module::$function 0 1 2 3 4 5 6 7)
    };
    ($module:ident::$function:ident $($slot:literal)*) => {{
        let instances: [usize; RUNTIMES] = [$($module::$function::<$slot> as *const () as usize),*];
        instances
    }};
}

/// The address of the replacement of `function` in the runtime in `slot`; with `clean_tails`, of
/// the one that keeps the tails of blocks zero, unless all blocks keep their sizes; for `body`, of
/// that of the function's body, which the runtime's own code calls directly.
pub(crate) fn entry(function: Function, slot: usize, clean_tails: bool, body: bool) -> usize {
    let hot = if allograft_heap::keeps_exact_sizes() {
        allograft_heap::exact_entries(slot)
    } else {
        allograft_heap::entries(slot, clean_tails)
    };
    match function {
        Function::Malloc => hot.malloc as usize,
        Function::Calloc => hot.calloc as usize,
        Function::Realloc => hot.realloc as usize,
        Function::Free | Function::OperatorDelete => hot.free as usize,
        Function::Msize => hot.msize as usize,
        Function::AlignedMalloc => hot.aligned_malloc as usize,
        Function::AlignedFree => hot.aligned_free as usize,
        Function::Recalloc if body => instances!(plain::recalloc_of_runtime)[slot],
        Function::Recalloc => instances!(plain::recalloc)[slot],
        Function::Expand => instances!(plain::expand)[slot],
        Function::AlignedRealloc => instances!(aligned::realloc)[slot],
        Function::AlignedRecalloc => instances!(aligned::recalloc)[slot],
        Function::AlignedMsize => instances!(aligned::msize)[slot],
        Function::AlignedOffsetMalloc => instances!(aligned::offset_malloc)[slot],
        Function::AlignedOffsetRealloc => instances!(aligned::offset_realloc)[slot],
        Function::AlignedOffsetRecalloc => instances!(aligned::offset_recalloc)[slot],
        Function::Strdup | Function::Mbsdup => instances!(strings::strdup)[slot],
        Function::Wcsdup => instances!(strings::wcsdup)[slot],
        Function::DupenvS => instances!(environment::dupenv_s)[slot],
        Function::WdupenvS => instances!(environment::wdupenv_s)[slot],
    }
}
