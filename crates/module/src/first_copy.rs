//! The copy of the module that has attached to this process before this one, under whatever file
//! name. The C interface of this copy forwards its calls to that one.

use core::ffi::CStr;
use core::mem::transmute_copy;
use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_engine::{Module, loaded_modules};

/// A function of the first copy by its exported name; 0 in the first copy itself.
pub(crate) struct ForwardedCall(AtomicUsize, &'static CStr);

pub(crate) static ACTIVE: ForwardedCall = ForwardedCall(AtomicUsize::new(0), c"allograft_active");
pub(crate) static OWNS: ForwardedCall = ForwardedCall(AtomicUsize::new(0), c"allograft_owns");
pub(crate) static ERROR: ForwardedCall = ForwardedCall(AtomicUsize::new(0), c"allograft_error");
pub(crate) static COUNTERS: ForwardedCall =
    ForwardedCall(AtomicUsize::new(0), c"allograft_counters");

impl ForwardedCall {
    /// The function as a pointer of the type `F`; none if this copy is the first.
    ///
    /// # Safety
    /// `F` is the pointer type of the exported function.
    pub(crate) unsafe fn get<F: Copy>(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        let address = self.0.load(Ordering::Acquire);
        // SAFETY: by the contract the export has this type, and a copy that has attached is never
        // unloaded.
        (address != 0).then(|| unsafe { transmute_copy(&address) })
    }
}

/// Forwards calls to the first copy from now on. The caller holds the loader's lock; `own` is the
/// base of this copy.
pub(crate) fn find(own: usize) {
    let functions = [&ACTIVE, &OWNS, &ERROR, &COUNTERS];
    let exports_all =
        |module: &Module| functions.iter().all(|function| module.export(function.1).is_some());
    let first = loaded_modules().find(|module| module.base() != own && exports_all(module));
    for function in functions {
        let address = first.and_then(|module| module.export(function.1));
        function.0.store(address.unwrap_or(0), Ordering::Release);
    }
}
