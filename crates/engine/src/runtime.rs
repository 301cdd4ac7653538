//! What the replacements ask of the runtime whose functions they replace.

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Memory::GetProcessHeap;

use crate::error::Failure;
use crate::loaded::Module;

/// The Universal CRT's file name.
pub(crate) const UCRT: &str = "ucrtbase.dll";

pub(crate) const EINVAL: c_int = 22;
pub(crate) const ENOMEM: c_int = 12;

/// The largest request that a C runtime passes on to its heap (`_HEAP_MAXREQ`).
pub(crate) const LARGEST_REQUEST: usize = usize::MAX - 0x1F;

type GetHeap = unsafe extern "C" fn() -> HANDLE;
type GetErrno = unsafe extern "C" fn() -> *mut c_int;
type InvalidParameter = unsafe extern "C" fn();
type QueryNewMode = unsafe extern "C" fn() -> c_int;
type SetNewMode = unsafe extern "C" fn(c_int) -> c_int;
type CallNewHandler = unsafe extern "C" fn(usize) -> c_int;
type GetenvS = unsafe extern "C" fn(*mut usize, *mut c_void, usize, *const c_void) -> c_int;

/// One of the states that a Universal CRT keeps side by side: each has an `errno`, handlers, a new mode and an environment of
/// its own. The heap is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// That of the public names, which programs use.
    Public,
    /// That of the names with `_o_` before them, which parts of Windows use (`ucrt.osmode.lib`).
    System,
}

impl State {
    /// The state that the exported function `name` works on.
    pub(crate) fn of_name(name: &CStr) -> State {
        if name.to_bytes().starts_with(b"_o_") {
            State::System
        } else {
            State::Public
        }
    }
}

/// How the new mode is asked for: nothing is exported that tells it for the system's state.
enum NewMode {
    Query(QueryNewMode),
    Exchange(SetNewMode),
}

/// A runtime's own functions, by which its contract is kept, as they work on one of its states.
pub(crate) struct Runtime {
    heap: GetHeap,
    errno: GetErrno,
    invalid_parameter: InvalidParameter,
    new_mode: NewMode,
    call_new_handler: CallNewHandler,
    getenv_s: GetenvS,
    wgetenv_s: GetenvS,
}

impl Runtime {
    /// The functions of `module` that work on `state`.
    ///
    /// # Errors
    /// [`Failure::Missing`] with the name of the first that it does not export.
    pub(crate) fn of(module: &Module, state: State) -> Result<Runtime, Failure> {
        let find = |names: (&'static CStr, &'static CStr)| {
            let name = match state {
                State::Public => names.0,
                State::System => names.1,
            };
            module.export(name).ok_or(Failure::Missing(name))
        };
        let errno = find((c"_errno", c"_o__errno"))?;
        let invalid = find((
            c"_invalid_parameter_noinfo",
            c"_o__invalid_parameter_noinfo",
        ))?;
        let new_mode = find((c"_query_new_mode", c"_o__set_new_mode"))?;
        let new_handler = find((c"_callnewh", c"_o__callnewh"))?;
        let getenv_s = find((c"getenv_s", c"_o_getenv_s"))?;
        let wgetenv_s = find((c"_wgetenv_s", c"_o__wgetenv_s"))?;
        let heap = find((c"_get_heap_handle", c"_o__get_heap_handle"))?;
        // SAFETY: these are the signatures of the functions of these names.
        unsafe {
            Ok(Runtime {
                heap: transmute::<usize, GetHeap>(heap),
                errno: transmute::<usize, GetErrno>(errno),
                invalid_parameter: transmute::<usize, InvalidParameter>(invalid),
                new_mode: match state {
                    State::Public => NewMode::Query(transmute::<usize, QueryNewMode>(new_mode)),
                    State::System => NewMode::Exchange(transmute::<usize, SetNewMode>(new_mode)),
                },
                call_new_handler: transmute::<usize, CallNewHandler>(new_handler),
                getenv_s: transmute::<usize, GetenvS>(getenv_s),
                wgetenv_s: transmute::<usize, GetenvS>(wgetenv_s),
            })
        }
    }

    /// The old heap. The process heap stands for it as long as the runtime has not started, and has none.
    pub(crate) fn heap(&self) -> HANDLE {
        // SAFETY: neither has preconditions.
        unsafe {
            let heap = (self.heap)();
            if heap.is_null() {
                GetProcessHeap()
            } else {
                heap
            }
        }
    }

    /// Sets the calling thread's `errno`.
    pub(crate) fn set_errno(&self, value: c_int) {
        // SAFETY: the runtime gives the address of the calling thread's own variable.
        unsafe { *(self.errno)() = value };
    }

    /// The calling thread's `errno`.
    pub(crate) fn errno(&self) -> c_int {
        // SAFETY: as above.
        unsafe { *(self.errno)() }
    }

    /// Reports an invalid parameter: the handler first, and then `errno`, as the runtime does it.
    pub(crate) fn invalid_parameter(&self) {
        self.set_errno(EINVAL);
        // SAFETY: has no preconditions. The handler may end the process, or raise.
        unsafe { (self.invalid_parameter)() };
    }

    /// Asks the new handler, if the new mode wants it, whether to try again for `size` bytes.
    pub(crate) fn new_handler_says_again(&self, size: usize) -> bool {
        // SAFETY: has no preconditions. The handler may raise.
        self.new_mode() != 0 && unsafe { (self.call_new_handler)(size) != 0 }
    }

    fn new_mode(&self) -> c_int {
        // SAFETY: none of these has preconditions, and 0 and 1 are modes.
        unsafe {
            match self.new_mode {
                NewMode::Query(query) => query(),
                NewMode::Exchange(set) => {
                    let mode = set(1);
                    if mode == 0 {
                        set(0);
                    }
                    mode
                }
            }
        }
    }

    /// The runtime's `getenv_s`, or `_wgetenv_s` for `wide`.
    pub(crate) fn getenv_s(&self, wide: bool) -> GetenvS {
        if wide { self.wgetenv_s } else { self.getenv_s }
    }
}
