//! What the replacements ask of the runtime whose functions they replace.

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Memory::GetProcessHeap;

use crate::error::Failure;
use crate::loaded::Module;

/// The file names of the C runtimes that can be taken over, in lower case. All keep the same
/// contract, as far as they have it.
pub(crate) const RUNTIMES: &[&str] = &[
    "ucrtbase.dll",
    "msvcrt.dll",
    "msvcr80.dll",
    "msvcr90.dll",
    "msvcr100.dll",
    "msvcr110.dll",
    "msvcr120.dll",
];

/// Those that are left alone: a debug runtime keeps a list of its blocks and checks what lies
/// around them.
pub(crate) const DEBUG_RUNTIMES: &[&str] = &[
    "ucrtbased.dll",
    "msvcrtd.dll",
    "msvcr80d.dll",
    "msvcr90d.dll",
    "msvcr100d.dll",
    "msvcr110d.dll",
    "msvcr120d.dll",
];

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

/// One of the states that a Universal CRT keeps side by side: each has an `errno`, handlers, a new
/// mode and an environment of its own. The heap is one.
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
        if name.to_bytes().starts_with(b"_o_") { State::System } else { State::Public }
    }
}

/// How the new mode is asked for.
enum NewMode {
    Query(QueryNewMode),
    /// Nothing is exported that tells it for the system's state, and by some old runtimes: it is
    /// set, and set back.
    Exchange(SetNewMode),
}

impl NewMode {
    fn of(module: &Module, state: State) -> Option<NewMode> {
        /// The old runtimes export these two as C++ functions.
        const QUERY: [&CStr; 2] = [c"_query_new_mode", c"?_query_new_mode@@YAHXZ"];
        const SET: [&CStr; 2] = [c"_set_new_mode", c"?_set_new_mode@@YAHH@Z"];

        let find = |names: &[&CStr]| names.iter().find_map(|name| module.export(name));
        // SAFETY: these are the signatures of the functions of these names.
        unsafe {
            let exchange = |address| NewMode::Exchange(transmute::<usize, SetNewMode>(address));
            let query = |address| NewMode::Query(transmute::<usize, QueryNewMode>(address));
            match state {
                State::Public => find(&QUERY).map(query).or_else(|| find(&SET).map(exchange)),
                State::System => find(&[c"_o__set_new_mode"]).map(exchange),
            }
        }
    }
}

/// A runtime's own functions, by which its contract is kept, as they work on one of its states.
pub(crate) struct Runtime {
    heap: GetHeap,
    errno: GetErrno,
    /// Old runtimes have no such handler: `errno` is all that they set.
    invalid_parameter: Option<InvalidParameter>,
    /// How the new mode is asked for, and the handler called; without it, no handler is ever called
    /// for `malloc`.
    new_handler: Option<(NewMode, CallNewHandler)>,
    getenv_s: Option<GetenvS>,
    wgetenv_s: Option<GetenvS>,
    clean_tails: AtomicBool,
}

impl Runtime {
    /// The functions of `module` that work on `state`.
    ///
    /// # Errors
    /// [`Failure::Missing`] with the name of the first that it does not export.
    pub(crate) fn of(module: &Module, state: State) -> Result<Runtime, Failure> {
        let name_of = |names: (&'static CStr, &'static CStr)| match state {
            State::Public => names.0,
            State::System => names.1,
        };
        let find = |names| module.export(name_of(names)).ok_or(Failure::Missing(name_of(names)));
        let errno = find((c"_errno", c"_o__errno"))?;
        let heap = find((c"_get_heap_handle", c"_o__get_heap_handle"))?;
        let new_mode = NewMode::of(module, state);
        let call_new_handler = find((c"_callnewh", c"_o__callnewh")).ok();
        let invalid = find((c"_invalid_parameter_noinfo", c"_o__invalid_parameter_noinfo")).ok();
        let getenv_s = find((c"getenv_s", c"_o_getenv_s")).ok();
        let wgetenv_s = find((c"_wgetenv_s", c"_o__wgetenv_s")).ok();
        // SAFETY: these are the signatures of the functions of these names.
        unsafe {
            Ok(Runtime {
                heap: transmute::<usize, GetHeap>(heap),
                errno: transmute::<usize, GetErrno>(errno),
                invalid_parameter: invalid
                    .map(|address| transmute::<usize, InvalidParameter>(address)),
                new_handler: new_mode.zip(
                    call_new_handler.map(|address| transmute::<usize, CallNewHandler>(address)),
                ),
                getenv_s: getenv_s.map(|address| transmute::<usize, GetenvS>(address)),
                wgetenv_s: wgetenv_s.map(|address| transmute::<usize, GetenvS>(address)),
                clean_tails: AtomicBool::new(false),
            })
        }
    }

    /// Whether the tails of blocks are kept clean (see [`crate::tails`]).
    pub(crate) fn tails_are_clean(&self) -> bool {
        self.clean_tails.load(Ordering::Relaxed)
    }

    /// Begins to keep them clean; false if that has begun already.
    pub(crate) fn begin_to_keep_tails_clean(&self) -> bool {
        !self.clean_tails.swap(true, Ordering::AcqRel)
    }

    /// The old heap. The process heap stands for it as long as the runtime has not started, and has
    /// none.
    pub(crate) fn heap(&self) -> HANDLE {
        // SAFETY: neither has preconditions.
        unsafe {
            let heap = (self.heap)();
            if heap.is_null() { GetProcessHeap() } else { heap }
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

    /// Reports an invalid parameter: `errno` first, and then the handler, as the runtime does it.
    pub(crate) fn invalid_parameter(&self) {
        self.set_errno(EINVAL);
        if let Some(report) = self.invalid_parameter {
            // SAFETY: has no preconditions. The handler may end the process, or raise.
            unsafe { report() };
        }
    }

    /// Asks the new handler, if the new mode wants it, whether to try again for `size` bytes.
    pub(crate) fn new_handler_says_again(&self, size: usize) -> bool {
        let Some((mode, call)) = &self.new_handler else {
            return false;
        };
        // SAFETY: none of these has preconditions, and 0 and 1 are modes. The handler may raise.
        unsafe {
            let mode = match *mode {
                NewMode::Query(query) => query(),
                NewMode::Exchange(set) => {
                    let mode = set(1);
                    if mode == 0 {
                        set(0);
                    }
                    mode
                }
            };
            mode != 0 && call(size) != 0
        }
    }

    /// The runtime's `getenv_s`, or `_wgetenv_s` for `wide`, if it has them.
    pub(crate) fn getenv_s(&self, wide: bool) -> Option<GetenvS> {
        if wide { self.wgetenv_s } else { self.getenv_s }
    }
}
