//! The functions of a C runtime by which the replacements keep its contract: `errno`, the handlers,
//! the environment and the old heap. None of them allocates by a function that is replaced.

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::error::TakeoverError;

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

/// The runtimes that are left alone: a debug runtime keeps a list of its blocks and checks the
/// bytes around them.
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

type GetHeap = unsafe extern "C" fn() -> *mut c_void;
type GetErrno = unsafe extern "C" fn() -> *mut c_int;
type InvalidParameter = unsafe extern "C" fn();
type QueryNewMode = unsafe extern "C" fn() -> c_int;
type SetNewMode = unsafe extern "C" fn(c_int) -> c_int;
type CallNewHandler = unsafe extern "C" fn(usize) -> c_int;
type GetenvS = unsafe extern "C" fn(*mut usize, *mut c_void, usize, *const c_void) -> c_int;

/// One of the states that a Universal CRT keeps side by side: each has an `errno`, handlers, a new
/// mode and an environment of its own. The heap is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CrtState {
    /// The state of the public names, which programs use.
    Public,
    /// The state of the names that begin with `_o_`, which parts of Windows use
    /// (`ucrt.osmode.lib`).
    System,
}

impl CrtState {
    /// The state that the exported function `name` works on.
    pub(crate) fn from_name(name: &CStr) -> CrtState {
        if name.to_bytes().starts_with(b"_o_") { CrtState::System } else { CrtState::Public }
    }
}

/// How to read the new mode.
#[derive(Clone, Copy)]
enum NewMode {
    Query(QueryNewMode),
    /// The system's state and some old runtimes export no function to query it: it is set, and set
    /// back.
    Exchange(SetNewMode),
}

impl NewMode {
    fn find(export: &dyn Fn(&CStr) -> Option<usize>, state: CrtState) -> Option<NewMode> {
        /// The old runtimes export these two as C++ functions.
        const QUERY: [&CStr; 2] = [c"_query_new_mode", c"?_query_new_mode@@YAHXZ"];
        const SET: [&CStr; 2] = [c"_set_new_mode", c"?_set_new_mode@@YAHH@Z"];

        let find = |names: &[&CStr]| names.iter().find_map(|name| export(name));
        // SAFETY: functions of these names have these signatures.
        unsafe {
            let exchange = |address| NewMode::Exchange(transmute::<usize, SetNewMode>(address));
            let query = |address| NewMode::Query(transmute::<usize, QueryNewMode>(address));
            match state {
                CrtState::Public => find(&QUERY).map(query).or_else(|| find(&SET).map(exchange)),
                CrtState::System => find(&[c"_o__set_new_mode"]).map(exchange),
            }
        }
    }
}

/// A runtime's own functions, as they work on one of its states.
pub(crate) struct Runtime {
    heap: GetHeap,
    errno: GetErrno,
    /// Old runtimes have no such handler; they only set `errno`.
    invalid_parameter: Option<InvalidParameter>,
    /// Without both, `malloc` never calls a new handler.
    new_handler: Option<(NewMode, CallNewHandler)>,
    getenv_s: Option<GetenvS>,
    wgetenv_s: Option<GetenvS>,
    clean_tails: AtomicBool,
}

impl Runtime {
    /// The functions that work on `state`, found by their names.
    ///
    /// # Errors
    /// [`TakeoverError::Missing`] with the first necessary one that is not exported.
    pub(crate) fn from_exports(
        export: &dyn Fn(&CStr) -> Option<usize>,
        state: CrtState,
    ) -> Result<Runtime, TakeoverError> {
        let find = |public: &'static CStr, system: &'static CStr| {
            let name = if state == CrtState::Public { public } else { system };
            export(name).ok_or(TakeoverError::Missing(name))
        };
        let errno = find(c"_errno", c"_o__errno")?;
        let heap = find(c"_get_heap_handle", c"_o__get_heap_handle")?;
        let new_mode = NewMode::find(export, state);
        let call_new_handler = find(c"_callnewh", c"_o__callnewh").ok();
        let invalid = find(c"_invalid_parameter_noinfo", c"_o__invalid_parameter_noinfo").ok();
        let getenv_s = find(c"getenv_s", c"_o_getenv_s").ok();
        let wgetenv_s = find(c"_wgetenv_s", c"_o__wgetenv_s").ok();
        // SAFETY: functions of these names have these signatures.
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

    /// Whether the tails of blocks are kept zero (see [`crate::tails`]).
    pub(crate) fn has_clean_tails(&self) -> bool {
        self.clean_tails.load(Ordering::Relaxed)
    }

    /// Marks the runtime as one whose tails are kept zero. False if it was already.
    pub(crate) fn mark_clean_tails(&self) -> bool {
        !self.clean_tails.swap(true, Ordering::AcqRel)
    }

    /// The handle of the old heap; NULL as long as the runtime has not started.
    pub(crate) fn heap(&self) -> *mut c_void {
        // SAFETY: the function takes nothing and returns a constant of the started runtime.
        unsafe { (self.heap)() }
    }

    /// Sets the calling thread's `errno`.
    pub(crate) fn set_errno(&self, value: c_int) {
        // SAFETY: the runtime returns the address of the calling thread's own variable.
        unsafe { *(self.errno)() = value };
    }

    /// The calling thread's `errno`.
    pub(crate) fn errno(&self) -> c_int {
        // SAFETY: as in `set_errno`, no other thread writes the variable.
        unsafe { *(self.errno)() }
    }

    /// Reports an invalid parameter: sets `errno`, then calls the handler, as the runtime does.
    pub(crate) fn invalid_parameter(&self) {
        self.set_errno(EINVAL);
        if let Some(report) = self.invalid_parameter {
            // SAFETY: the function takes nothing. The handler may end the process, or raise an
            // exception, which unwinds through this frame as through one of C.
            unsafe { report() };
        }
    }

    /// Calls the new handler for `size` bytes, if the new mode asks for it. Returns whether to try
    /// again.
    pub(crate) fn call_new_handler(&self, size: usize) -> bool {
        let Some((mode, call)) = &self.new_handler else {
            return false;
        };
        // SAFETY: the functions take any number. The handler may raise an exception, which unwinds
        // through this frame as through one of C.
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

    /// `getenv_s`, or `_wgetenv_s` for `wide`, if the runtime has them.
    pub(crate) fn getenv_s(&self, wide: bool) -> Option<GetenvS> {
        if wide { self.wgetenv_s } else { self.getenv_s }
    }

    /// Whether the runtime gives access to its environment, narrow and wide.
    pub(crate) fn has_environment(&self) -> bool {
        self.getenv_s.is_some() && self.wgetenv_s.is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use core::cell::Cell;

    use super::*;

    std::thread_local! {
        static ERRNO: Cell<c_int> = const { Cell::new(0) };
        static NEW_MODE: Cell<c_int> = const { Cell::new(0) };
        static HANDLER_CALLS: Cell<usize> = const { Cell::new(0) };
    }

    extern "C" fn heap() -> *mut c_void {
        0x1234 as *mut c_void
    }
    extern "C" fn errno() -> *mut c_int {
        ERRNO.with(Cell::as_ptr)
    }
    extern "C" fn set_new_mode(mode: c_int) -> c_int {
        NEW_MODE.replace(mode)
    }
    extern "C" fn call_handler(_size: usize) -> c_int {
        HANDLER_CALLS.set(HANDLER_CALLS.get() + 1);
        1
    }

    /// Exports of a small runtime: its system names are those of the public state with `_o_`.
    pub(crate) fn exports(name: &CStr) -> Option<usize> {
        Some(match name.to_bytes() {
            b"_errno" | b"_o__errno" => errno as *const () as usize,
            b"_get_heap_handle" | b"_o__get_heap_handle" => heap as *const () as usize,
            b"_set_new_mode" => set_new_mode as *const () as usize,
            b"_callnewh" => call_handler as *const () as usize,
            _ => return None,
        })
    }

    #[test]
    fn a_runtime_without_a_necessary_function_is_refused_with_its_name() {
        let without =
            |missing: &'static CStr| move |name: &CStr| exports(name).filter(|_| name != missing);
        for (missing, state) in [
            (c"_errno", CrtState::Public),
            (c"_get_heap_handle", CrtState::Public),
            (c"_o__errno", CrtState::System),
        ] {
            let result = Runtime::from_exports(&without(missing), state);
            assert!(
                matches!(result, Err(TakeoverError::Missing(name)) if name == missing),
                "{missing:?}"
            );
        }
    }

    #[test]
    fn the_new_handler_is_called_in_its_mode_only_and_the_mode_stays() {
        let runtime = Runtime::from_exports(&exports, CrtState::Public).unwrap();
        assert!(!runtime.call_new_handler(8));
        assert_eq!((NEW_MODE.get(), HANDLER_CALLS.get()), (0, 0));
        NEW_MODE.set(1);
        assert!(runtime.call_new_handler(8));
        assert_eq!((NEW_MODE.get(), HANDLER_CALLS.get()), (1, 1));
    }

    #[test]
    fn an_invalid_parameter_sets_errno_where_there_is_no_handler() {
        let runtime = Runtime::from_exports(&exports, CrtState::System).unwrap();
        runtime.set_errno(0);
        runtime.invalid_parameter();
        assert_eq!(runtime.errno(), EINVAL);
        assert!(!runtime.call_new_handler(8) && !runtime.has_environment());
    }

    #[test]
    fn names_with_the_prefix_are_the_systems() {
        assert_eq!(CrtState::from_name(c"_o_malloc"), CrtState::System);
        assert_eq!(CrtState::from_name(c"_onexit"), CrtState::Public);
    }
}
