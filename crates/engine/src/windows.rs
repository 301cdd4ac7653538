//! What the engine asks of Windows beside the heap functions: loaded modules, their exports and
//! versions, the loader's lock, and the clock.

use core::ffi::{CStr, c_void};
use core::ptr::{null, null_mut, without_provenance};

use windows_sys::Win32::Foundation::{HMODULE, NTSTATUS, UNICODE_STRING};
use windows_sys::Win32::System::LibraryLoader::{
    FindResourceW, GetProcAddress, LoadResource, LockResource, SizeofResource,
};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::GetSystemWindowsDirectoryW;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

use allograft_detour::{System, Windows};

use crate::exports;
use crate::module::{Module, file_version_in};

// Exported since Windows XP, and in no import library.
windows_link::link!("ntdll.dll" "system" fn LdrLockLoaderLock(
    flags: u32, disposition: *mut u32, cookie: *mut usize
) -> NTSTATUS);
windows_link::link!("ntdll.dll" "system" fn LdrUnlockLoaderLock(
    flags: u32, cookie: usize
) -> NTSTATUS);
windows_link::link!("ntdll.dll" "system" fn LdrEnumerateLoadedModules(
    flags: u8, callback: ModuleCallback, context: *mut c_void
) -> NTSTATUS);

type ModuleCallback = unsafe extern "system" fn(*const LoaderEntry, *mut c_void, *mut u8);

impl Module {
    /// The module that the loader describes by these values.
    ///
    /// # Safety
    /// As for [`Module::new`]; the strings are valid, or have no buffer.
    pub unsafe fn from_loader(
        base: usize,
        size: usize,
        name: &UNICODE_STRING,
        path: &UNICODE_STRING,
    ) -> Module {
        let units = |string: &UNICODE_STRING| -> &'static [u16] {
            if string.Buffer.is_null() {
                return &[];
            }
            // SAFETY: the buffer holds `Length` bytes, and by the contract lives long enough.
            unsafe { core::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) }
        };
        // SAFETY: the caller's promise.
        unsafe { Module::new(base, size, units(name), units(path)) }
    }

    /// The address of the function that it exports as `name`. The loader is asked only for one
    /// that the module forwards elsewhere.
    pub fn export(&self, name: &CStr) -> Option<usize> {
        if let Some(export) = exports::find(self, &|address| Windows.region(address), name) {
            return Some(export.address);
        }
        // SAFETY: the module is loaded by the contract of `Module::new`.
        let function = unsafe { GetProcAddress(self.handle(), name.as_ptr().cast()) };
        function.map(|function| function as *const c_void as usize)
    }

    /// Its file version, most significant part first; none if it has no version resource. It is
    /// read in memory, so that version.dll need not be loaded.
    pub fn file_version(&self) -> Option<[u16; 4]> {
        // Resource types and names may be numbers in place of pointers.
        let (version, first) = (without_provenance(16), without_provenance(1));

        // SAFETY: the module is loaded, and the resource, a part of it, is as long as the system
        // says.
        let resource: &[u32] = unsafe {
            let found = FindResourceW(self.handle(), first, version);
            if found.is_null() {
                return None;
            }
            let size = SizeofResource(self.handle(), found) as usize;
            let data = LockResource(LoadResource(self.handle(), found)).cast::<u32>();
            if data.is_null() || !data.is_aligned() {
                return None;
            }
            core::slice::from_raw_parts(data, size / 4)
        };
        file_version_in(resource)
    }

    fn handle(&self) -> HMODULE {
        self.base() as HMODULE
    }
}

/// A link of the loader's lists.
#[repr(C)]
struct ListEntry {
    next: *const ListEntry,
    previous: *const ListEntry,
}

/// The beginning of `LDR_DATA_TABLE_ENTRY`, the same since Windows XP.
#[repr(C)]
struct LoaderEntry {
    load_order: ListEntry,
    memory_order: ListEntry,
    initialization_order: ListEntry,
    base: usize,
    entry_point: usize,
    size: u32,
    path: UNICODE_STRING,
    name: UNICODE_STRING,
}

/// The beginning of `PEB_LDR_DATA`.
#[repr(C)]
struct LoaderData {
    length: u32,
    initialized: u32,
    handle: usize,
    load_order: ListEntry,
}

/// The beginning of `RTL_CRITICAL_SECTION`.
#[repr(C)]
struct CriticalSection {
    debug: usize,
    lock_count: i32,
    recursion_count: i32,
    owner: usize,
}

/// The modules in the order in which they were loaded.
///
/// The loader must be at rest, so that the list does not change and no module in it is half linked.
/// It is in DLL entry points, in the loader's notifications of a loaded module, and in
/// [`with_loader_at_rest`]. Holding [`LoaderLock`] is not enough.
pub fn loaded_modules() -> impl Iterator<Item = Module> {
    let head = loader_data().map_or(null(), |data| &raw const data.load_order);
    let mut link = match head.is_null() {
        true => head,
        // SAFETY: the head is in the loader's data, which lives as long as the process.
        false => unsafe { (*head).next },
    };
    core::iter::from_fn(move || {
        if link == head {
            return None;
        }
        // SAFETY: every link but the head is the first field of an entry, which stays while the
        // loader is at rest.
        unsafe {
            let entry = &*link.cast::<LoaderEntry>();
            link = (*link).next;
            Some(Module::from_loader(entry.base, entry.size as usize, &entry.name, &entry.path))
        }
    })
}

fn loader_data() -> Option<&'static LoaderData> {
    // SAFETY: the PEB's fourth pointer-sized field is the address of the loader's data.
    unsafe { (*peb().cast::<*const LoaderData>().add(3)).as_ref() }
}

/// The base of the program's image.
pub(crate) fn program_base() -> usize {
    // SAFETY: the PEB's third pointer-sized field is the address of the image.
    unsafe { *peb().cast::<usize>().add(2) }
}

/// The global flags of the process: what the system is to check in it (`NtGlobalFlag`).
pub(crate) fn global_flags() -> u32 {
    const OFFSET: usize = if cfg!(target_pointer_width = "64") { 0xBC } else { 0x68 };
    // SAFETY: the PEB has the field at this offset since Windows XP.
    unsafe { peb().add(OFFSET).cast::<u32>().read() }
}

fn peb() -> *const u8 {
    let peb: *const u8;
    // SAFETY: the TEB holds the PEB's address.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, gs:[0x60]", out(reg) peb, options(nostack, pure, readonly, preserves_flags));
        #[cfg(target_arch = "x86")]
        core::arch::asm!("mov {}, fs:[0x30]", out(reg) peb, options(nostack, pure, readonly, preserves_flags));
    }
    peb
}

/// Writes the path of the Windows folder into `path`, and returns it; empty if there is no room.
pub(crate) fn windows_folder(path: &mut [u16; 260]) -> &[u16] {
    // SAFETY: the buffer is as long as stated.
    let length = unsafe { GetSystemWindowsDirectoryW(path.as_mut_ptr(), path.len() as u32) };
    path.get(..length as usize).unwrap_or_default()
}

/// Calls `act` with `words` words of memory, all 0; with none if the system has none.
pub(crate) fn with_scratch(words: usize, act: &mut dyn FnMut(&mut [u32])) {
    if words == 0 {
        return act(&mut []);
    }
    // SAFETY: new memory overlaps nothing, is zero, and is returned when nobody uses it any more.
    unsafe {
        let size = words * size_of::<u32>();
        let memory = VirtualAlloc(null(), size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
        if memory.is_null() {
            return act(&mut []);
        }
        act(core::slice::from_raw_parts_mut(memory.cast(), words));
        VirtualFree(memory, 0, MEM_RELEASE);
    }
}

/// The reading of the performance counter, in ticks.
pub(crate) fn ticks() -> i64 {
    let mut ticks = 0;
    // SAFETY: the call writes one number.
    unsafe { QueryPerformanceCounter(&mut ticks) };
    ticks
}

pub(crate) fn nanoseconds_since(begin: i64) -> u64 {
    let mut frequency = 0;
    // SAFETY: the call writes one number.
    unsafe { QueryPerformanceFrequency(&mut frequency) };
    let ticks = (ticks() - begin).max(0) as u128;
    (ticks * 1_000_000_000 / (frequency.max(1) as u128)) as u64
}

/// Calls `act` as the loader calls an entry point: no other thread loads or unloads a module
/// meanwhile. Waits for a load that is going on. False if the system refuses; nothing was done then.
///
/// Since Windows 8 a module is loaded by the thread that owns loading, and by worker threads of its,
/// under a lock of the module list alone; only initialising and unloading take the loader's lock.
/// The enumeration waits for the ownership and takes the lock, and gives both back.
pub fn with_loader_at_rest(act: impl FnOnce()) -> bool {
    unsafe extern "system" fn called<F: FnOnce()>(
        _: *const LoaderEntry,
        act: *mut c_void,
        stop: *mut u8,
    ) {
        // SAFETY: the context is the option below, which outlives the enumeration, and the last
        // argument can be written.
        let act = unsafe {
            *stop = 1;
            (*act.cast::<Option<F>>()).take()
        };
        if let Some(act) = act {
            act();
        }
    }
    fn enumerate<F: FnOnce()>(mut act: Option<F>) -> bool {
        // SAFETY: the callback takes the option whose address it is given.
        let status = unsafe { LdrEnumerateLoadedModules(0, called::<F>, (&raw mut act).cast()) };
        status == 0 && act.is_none()
    }
    enumerate(Some(act))
}

/// Whether the calling thread holds the loader's lock, as it does in entry points of DLLs.
pub(crate) fn holds_loader_lock() -> bool {
    const LOADER_LOCK: usize = if cfg!(target_pointer_width = "64") { 0x110 } else { 0xA0 };
    // SAFETY: the PEB has the address of the critical section at this offset since Windows XP; the
    // process has it as long as it lives. Another thread may change the owner, but not to this one.
    unsafe {
        let lock = peb().add(LOADER_LOCK).cast::<*const CriticalSection>().read();
        (&raw const (*lock).owner).read_volatile() == GetCurrentThreadId() as usize
    }
}

/// The loader's lock, held by this thread until this is dropped: no other thread runs an entry
/// point, or unloads a module, meanwhile. Modules may still be added to the loader's list. A thread
/// may hold it more than once.
pub struct LoaderLock(usize);

impl LoaderLock {
    /// Waits for the lock. None if the system refuses it, which it has no reason to do.
    pub fn take() -> Option<LoaderLock> {
        let mut cookie = 0;
        // SAFETY: the cookie can be written; without flags there is no disposition.
        let status = unsafe { LdrLockLoaderLock(0, null_mut(), &mut cookie) };
        (status == 0).then_some(LoaderLock(cookie))
    }
}

impl Drop for LoaderLock {
    fn drop(&mut self) {
        // SAFETY: this thread took the lock, and the cookie came with it.
        unsafe { LdrUnlockLoaderLock(0, self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use windows_sys::Win32::Foundation::FreeLibrary;
    use windows_sys::Win32::System::LibraryLoader::LoadLibraryW;

    #[test]
    fn exports_are_those_that_the_loader_finds() {
        let system = ["ntdll.dll", "kernelbase.dll", "kernel32.dll"];
        let names =
            [c"RtlFreeHeap", c"LocalFree", c"HeapFree", c"HeapAlloc", c"GetLastError", c"no"];
        assert!(with_loader_at_rest(|| {
            for module in
                loaded_modules().filter(|module| system.iter().any(|name| module.name_is(name)))
            {
                for name in names {
                    // SAFETY: the module is loaded.
                    let function = unsafe { GetProcAddress(module.handle(), name.as_ptr().cast()) };
                    let expected = function.map(|function| function as *const c_void as usize);
                    assert_eq!(module.export(name), expected, "{name:?}");
                }
            }
        }));
    }

    #[test]
    fn modules_that_come_and_go_do_not_disturb_a_walk() {
        const LOADS: usize = 50;
        let over = AtomicBool::new(false);
        let names = ["version.dll", "winmm.dll", "psapi.dll"];
        let loads = names.map(|_| AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (name, loads) in names.iter().zip(&loads) {
                let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        // SAFETY: the name ends with a zero, and the handle is this call's.
                        unsafe {
                            let module = LoadLibraryW(name.as_ptr());
                            if !module.is_null() && FreeLibrary(module) != 0 {
                                loads.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
            let began = Instant::now();
            let are_busy = || loads.iter().all(|loads| loads.load(Ordering::Relaxed) >= LOADS);
            while !are_busy() && began.elapsed() < Duration::from_secs(60) {
                let mut modules = 0;
                let at_rest = with_loader_at_rest(|| {
                    for module in loaded_modules() {
                        // SAFETY: the module is loaded and begins with its headers.
                        let magic = unsafe { *(module.base() as *const u16) };
                        modules += usize::from(magic == 0x5A4D && module.name().len() > 4);
                    }
                });
                if !at_rest || modules < 3 {
                    break;
                }
            }
            let were_busy = are_busy();
            over.store(true, Ordering::Relaxed);
            assert!(were_busy, "{loads:?} modules were loaded, or a walk failed");
        });
    }

    #[test]
    fn a_thread_that_has_the_loader_at_rest_may_use_it() {
        let mut inner = false;
        assert!(!holds_loader_lock());
        assert!(with_loader_at_rest(|| {
            let _lock = LoaderLock::take().expect("the lock");
            assert!(holds_loader_lock());
            assert!(with_loader_at_rest(|| inner = true));
        }));
        assert!(inner);
    }
}
