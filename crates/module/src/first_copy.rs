//! The copy of the module that attached to this process before this one, under whatever file name:
//! it has the answers to what this copy's C interface is asked.

use core::ffi::CStr;
use core::mem::transmute_copy;
use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_engine::{Module, loaded_modules};

/// A function that the first copy exports; 0 where this copy is the first.
pub(crate) struct Function(AtomicUsize, &'static CStr);

/// `allograft_active`
pub(crate) static ACTIVE: Function = Function(AtomicUsize::new(0), c"allograft_active");
/// `allograft_owns`
pub(crate) static OWNS: Function = Function(AtomicUsize::new(0), c"allograft_owns");
/// `allograft_error`
pub(crate) static ERROR: Function = Function(AtomicUsize::new(0), c"allograft_error");
/// `allograft_counters`
pub(crate) static COUNTERS: Function = Function(AtomicUsize::new(0), c"allograft_counters");

impl Function {
    /// The function as a pointer of the type `F`; none if this copy is to answer itself.
    ///
    /// # Safety
    /// `F` is the pointer type of the exported function.
    pub(crate) unsafe fn get<F: Copy>(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        let address = self.0.load(Ordering::Acquire);
        // SAFETY: the caller's promise; copies of the module are never unloaded once they have
        // attached.
        (address != 0).then(|| unsafe { transmute_copy(&address) })
    }
}

/// Passes questions on to the first copy from now on. The caller holds the loader's lock; `own` is
/// where this copy lies.
pub(crate) fn find(own: usize) {
    let exports_all = |module: &Module| {
        [&ACTIVE, &OWNS, &ERROR, &COUNTERS]
            .iter()
            .all(|function| module.export(function.1).is_some())
    };
    let first = loaded_modules().find(|module| module.base() != own && exports_all(module));
    for function in [&ACTIVE, &OWNS, &ERROR, &COUNTERS] {
        let address = first.and_then(|module| module.export(function.1));
        function.0.store(address.unwrap_or(0), Ordering::Release);
    }
}
