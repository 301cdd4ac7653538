//! The replacements of the functions of the heap API. The hot ones are entries of
//! `allograft_heap`; the others are here.
//!
//! Functions of ntdll that free a block which their caller has allocated get a copy of it from the
//! process's heap, in the place of a block of mimalloc's. So they do what they do, whatever else
//! that may be.
//!
//! Each `unsafe extern "system"` function has the contract of the function that it replaces.

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use windows_sys::Win32::Foundation::{HANDLE, STATUS_NO_MEMORY, UNICODE_STRING};

use super::private_heap;
use super::table::{FUNCTION_COUNT, HEAP_FUNCTIONS, HeapFunction};
use crate::old_heap;

/// ntdll's functions, by [`HeapFunction`].
static ORIGINALS: [AtomicUsize; FUNCTION_COUNT] = [const { AtomicUsize::new(0) }; FUNCTION_COUNT];

/// Keeps the address of ntdll's function, before any slot leads to its replacement.
pub(super) fn keep_original(function: HeapFunction, address: usize) {
    ORIGINALS[function as usize].store(address, Ordering::Release);
}

/// The address of the replacement of `function`, for the calls of a module whose allocations are
/// `served`, or for those of others. None if calls of others stay as they are.
pub(super) fn replacement(function: HeapFunction, served: bool) -> Option<usize> {
    use HeapFunction::*;
    let hot = allograft_heap::heap_api_entries();
    /// The address of a function of this file.
    macro_rules! here {
        ($($function:tt)*) => { $($function)* as *const () as usize };
    }
    Some(match function {
        AllocateHeap if served => hot.allocate as usize,
        AllocateHeap => return None,
        FreeHeap if served => hot.free as usize,
        FreeHeap => here!(free_in_other_modules),
        ReAllocateHeap if served => hot.reallocate as usize,
        ReAllocateHeap => hot.reallocate_in_other_modules as usize,
        SizeHeap => hot.size as usize,
        ValidateHeap => here!(validate),
        GetUserInfoHeap => here!(get_user_info),
        SetUserValueHeap => here!(set_user_value),
        SetUserFlagsHeap => here!(set_user_flags),
        DestroyHeap => here!(destroy),
        FreeUnicodeString => here!(free_string::<{ FreeUnicodeString as usize }>),
        FreeAnsiString => here!(free_string::<{ FreeAnsiString as usize }>),
        FreeOemString => here!(free_string::<{ FreeOemString as usize }>),
        FreeUtf8String => here!(free_string::<{ FreeUtf8String as usize }>),
        FreeSid => here!(free_block::<{ FreeSid as usize }>),
        DestroyEnvironment => here!(free_block::<{ DestroyEnvironment as usize }>),
        DestroyProcessParameters => here!(free_block::<{ DestroyProcessParameters as usize }>),
        SetCurrentEnvironment => here!(set_current_environment),
        SetEnvironmentVariable => here!(set_environment_variable),
        SetEnvironmentVar => here!(set_environment_var),
        DeleteSecurityObject => here!(delete_security_object),
        SetSecurityObject => here!(set_security_object),
        SetSecurityObjectEx => here!(set_security_object_ex),
    })
}

/// Whether `address` is that of a replacement.
pub(super) fn is_replacement(address: usize) -> bool {
    HEAP_FUNCTIONS.iter().any(|row| {
        [false, true].into_iter().any(|served| replacement(row.function, served) == Some(address))
    })
}

/// ntdll's own function, as a pointer of this type.
macro_rules! original {
    ($function:expr, fn($($argument:ty),*) -> $result:ty) => {
        transmute::<usize, unsafe extern "system" fn($($argument),*) -> $result>(
            ORIGINALS[$function as usize].load(Ordering::Acquire),
        )
    };
}

/// `RtlFreeHeap` for modules whose allocations are not served. The foreign blocks that they free
/// are their own, and nobody counts them.
unsafe extern "system" fn free_in_other_modules(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
) -> i32 {
    // SAFETY: `owns` decides which heap the block is given to.
    unsafe {
        if allograft_heap::owns(block) {
            allograft_heap::free(block);
            return 1;
        }
        old_heap::free(heap, flags, block).into()
    }
}

unsafe extern "system" fn validate(heap: HANDLE, flags: u32, block: *const c_void) -> i32 {
    if allograft_heap::owns(block) {
        return 1;
    }
    // SAFETY: the function of that name has this signature; the result has 8 bits.
    unsafe {
        let original = original!(HeapFunction::ValidateHeap, fn(HANDLE, u32, *const c_void) -> u8);
        original(heap, flags, block).into()
    }
}

/// The user value of a block without one is the block, by which `GlobalHandle` and `LocalHandle`
/// find the handle of a fixed block.
unsafe extern "system" fn get_user_info(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    value: *mut *mut c_void,
    user_flags: *mut u32,
) -> i32 {
    // SAFETY: the pointers are the caller's, who may pass NULL; the function of that name has this
    // signature, and a result of 8 bits.
    unsafe {
        if !allograft_heap::owns(block) {
            let original = original!(
                HeapFunction::GetUserInfoHeap,
                fn(HANDLE, u32, *mut c_void, *mut *mut c_void, *mut u32) -> u8
            );
            return original(heap, flags, block, value, user_flags).into();
        }
        if !value.is_null() {
            *value = block;
        }
        if !user_flags.is_null() {
            *user_flags = 0;
        }
    }
    1
}

unsafe extern "system" fn set_user_value(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    value: *mut c_void,
) -> i32 {
    if allograft_heap::owns(block) {
        return 0;
    }
    // SAFETY: the function of that name has this signature; the result has 8 bits.
    unsafe {
        let original = original!(
            HeapFunction::SetUserValueHeap,
            fn(HANDLE, u32, *mut c_void, *mut c_void) -> u8
        );
        original(heap, flags, block, value).into()
    }
}

unsafe extern "system" fn set_user_flags(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    reset: u32,
    set: u32,
) -> i32 {
    if allograft_heap::owns(block) {
        return 0;
    }
    // SAFETY: the function of that name has this signature; the result has 8 bits.
    unsafe {
        let original =
            original!(HeapFunction::SetUserFlagsHeap, fn(HANDLE, u32, *mut c_void, u32, u32) -> u8);
        original(heap, flags, block, reset, set).into()
    }
}

/// `RtlDestroyHeap`: NULL for success.
unsafe extern "system" fn destroy(heap: HANDLE) -> *mut c_void {
    // SAFETY: the function of that name has this signature; the caller gives the heap up.
    unsafe {
        private_heap::destroy(heap, original!(HeapFunction::DestroyHeap, fn(HANDLE) -> *mut c_void))
    }
}

/// Replaces the block at `place` by a copy from the process's heap, if it is mimalloc's. False if
/// there is no memory for the copy; nothing has changed then.
///
/// # Safety
/// `place` is NULL or holds a block of some heap, which its owner gives up to ntdll.
unsafe fn hand_over(place: *mut *mut c_void) -> bool {
    // SAFETY: by the contract the block is in use until now; both blocks are `size` bytes long.
    unsafe {
        if place.is_null() || !allograft_heap::owns(*place) {
            return true;
        }
        let (block, size) = (*place, allograft_heap::exact_size(*place));
        let copy = old_heap::allocate(old_heap::process_heap(), 0, size);
        if copy.is_null() {
            return false;
        }
        core::ptr::copy_nonoverlapping(block.cast::<u8>(), copy.cast::<u8>(), size);
        allograft_heap::free(block);
        *place = copy;
        true
    }
}

/// The same for a block that ntdll only frees: without memory for a copy it is freed here, and
/// `place` becomes NULL.
///
/// # Safety
/// As for [`hand_over`].
unsafe fn hand_over_or_free(place: *mut *mut c_void) -> bool {
    // SAFETY: by the contract; a block that cannot be handed over is mimalloc's.
    unsafe {
        let handed_over = hand_over(place);
        if !handed_over {
            allograft_heap::free(*place);
            *place = null_mut();
        }
        handed_over
    }
}

/// `RtlFreeUnicodeString` and its kin: the structures of all of them are laid out alike.
unsafe extern "system" fn free_string<const FUNCTION: usize>(string: *mut UNICODE_STRING) {
    // SAFETY: the string is the caller's, and the functions of these names have this signature.
    unsafe {
        if !string.is_null() {
            hand_over_or_free((&raw mut (*string).Buffer).cast());
        }
        original!(FUNCTION, fn(*mut UNICODE_STRING) -> ())(string);
    }
}

/// `RtlFreeSid`, `RtlDestroyEnvironment`, `RtlDestroyProcessParameters`: the result is NULL or
/// `STATUS_SUCCESS`, both of them zero.
unsafe extern "system" fn free_block<const FUNCTION: usize>(mut block: *mut c_void) -> usize {
    // SAFETY: the functions of these names have this signature.
    unsafe {
        if !hand_over_or_free(&mut block) {
            return 0;
        }
        original!(FUNCTION, fn(*mut c_void) -> usize)(block)
    }
}

/// Adopts the block.
unsafe extern "system" fn set_current_environment(
    mut environment: *mut c_void,
    former: *mut *mut c_void,
) -> i32 {
    // SAFETY: the function of that name has this signature.
    unsafe {
        if !hand_over(&mut environment) {
            return STATUS_NO_MEMORY;
        }
        let original = original!(
            HeapFunction::SetCurrentEnvironment,
            fn(*mut c_void, *mut *mut c_void) -> i32
        );
        original(environment, former)
    }
}

/// Defines the replacements of functions of ntdll that put another block in the place of the one
/// that the named argument points to, and free that one: it is handed over before.
macro_rules! handing_over {
    ($($place:ident: $function:ident $name:ident($($argument:ident: $type:ty),*);)*) => {
        $(unsafe extern "system" fn $name($($argument: $type),*) -> i32 {
            // SAFETY: the function of that name has this signature.
            unsafe {
                if !hand_over($place) {
                    return STATUS_NO_MEMORY;
                }
                original!(HeapFunction::$function, fn($($type),*) -> i32)($($argument),*)
            }
        })*
    };
}

handing_over! {
    environment: SetEnvironmentVariable set_environment_variable(
        environment: *mut *mut c_void, name: *const UNICODE_STRING, value: *const UNICODE_STRING
    );
    environment: SetEnvironmentVar set_environment_var(
        environment: *mut *mut c_void, name: *const u16, name_length: usize,
        value: *const u16, value_length: usize
    );
    descriptor: SetSecurityObject set_security_object(
        information: u32, modification: *mut c_void, descriptor: *mut *mut c_void,
        mapping: *const c_void, token: HANDLE
    );
    descriptor: SetSecurityObjectEx set_security_object_ex(
        information: u32, modification: *mut c_void, descriptor: *mut *mut c_void,
        inheritance: u32, mapping: *const c_void, token: HANDLE
    );
}

unsafe extern "system" fn delete_security_object(descriptor: *mut *mut c_void) -> i32 {
    // SAFETY: the function of that name has this signature.
    unsafe {
        if !hand_over_or_free(descriptor) {
            return 0;
        }
        original!(HeapFunction::DeleteSecurityObject, fn(*mut *mut c_void) -> i32)(descriptor)
    }
}
