//! Thread-local variables of the C side.
//!
//! GCC for Windows has no native ones: it calls `__emutls_get_address`, whose usual implementation
//! allocates from the C runtime. This one keeps each variable in one slot of the system's
//! thread-local storage: nothing is allocated, and the variable ends with its thread. mimalloc has
//! three such variables, none larger than a slot, all off the hot path.

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use windows_sys::Win32::System::Threading::{TLS_OUT_OF_INDEXES, TlsAlloc, TlsFree, TlsSetValue};

crate::c_symbol!("__emutls_get_address", __emutls_get_address);

/// What GCC emits for one variable (`struct __emutls_object` of libgcc).
#[repr(C)]
pub struct Variable {
    size: usize,
    align: usize,
    /// Free for the implementation: 0, or the number of the slot plus 1.
    slot: AtomicUsize,
    /// The initial value, NULL for zero.
    initial: *const usize,
}

/// The first slots lie in the TEB itself.
const DIRECT_SLOTS: usize = 64;

/// The calling thread's instance of `variable`.
///
/// # Safety
/// `variable` is such a structure, and static, as GCC makes it.
unsafe extern "C" fn __emutls_get_address(variable: *const Variable) -> *mut c_void {
    // SAFETY: by the contract it lives as long as the module; what changes in it is atomic.
    let variable = unsafe { &*variable };
    assert!(variable.size <= size_of::<usize>());
    let value = slot_address(slot_of(variable));
    // SAFETY: no other thread uses the slot, and the initial value is as long as the variable. A
    // variable with an initial value never becomes zero again: mimalloc has one, a pointer that is
    // never NULL.
    unsafe {
        if !variable.initial.is_null() && *value == 0 {
            *value = *variable.initial;
        }
    }
    value.cast()
}

fn slot_of(variable: &Variable) -> usize {
    let known = variable.slot.load(Ordering::Acquire);
    if known != 0 {
        return known - 1;
    }
    // SAFETY: the call reserves a slot that nobody else has.
    let fresh = unsafe { TlsAlloc() };
    assert!(fresh != TLS_OUT_OF_INDEXES);
    let stored =
        variable.slot.compare_exchange(0, fresh as usize + 1, Ordering::AcqRel, Ordering::Acquire);
    match stored {
        Ok(_) => fresh as usize,
        Err(earlier) => {
            // Another thread was faster: its slot is the variable's.
            // SAFETY: this thread has reserved the slot, and nobody else knows of it.
            unsafe { TlsFree(fresh) };
            earlier - 1
        }
    }
}

/// Where the calling thread keeps the slot `slot`. The places are documented for debuggers and
/// fixed since Windows 2000; mimalloc reads its own slots in the same way.
fn slot_address(slot: usize) -> *mut usize {
    #[cfg(target_arch = "x86_64")]
    const SLOTS: (usize, usize) = (0x1480, 0x1780);
    #[cfg(target_arch = "x86")]
    const SLOTS: (usize, usize) = (0x0E10, 0x0F94);

    let teb = teb();
    // SAFETY: the TEB holds 64 slots, and the address of the further ones, which the system
    // allocates when the first of them is set.
    unsafe {
        if slot < DIRECT_SLOTS {
            return teb.byte_add(SLOTS.0).add(slot);
        }
        let expansion = teb.byte_add(SLOTS.1).cast::<*mut usize>();
        if (*expansion).is_null() {
            TlsSetValue(slot as u32, core::ptr::null());
        }
        assert!(!(*expansion).is_null());
        (*expansion).add(slot - DIRECT_SLOTS)
    }
}

fn teb() -> *mut usize {
    let teb: *mut usize;
    // SAFETY: `NT_TIB.Self` in the TEB holds the TEB's own address.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, gs:[0x30]", out(reg) teb, options(nostack, pure, readonly, preserves_flags));
        #[cfg(target_arch = "x86")]
        core::arch::asm!("mov {}, fs:[0x18]", out(reg) teb, options(nostack, pure, readonly, preserves_flags));
    }
    teb
}
