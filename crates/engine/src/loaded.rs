//! The modules that the process has loaded.

use core::ffi::{CStr, c_void};
use core::ptr::null;

use windows_sys::Win32::Foundation::{HMODULE, UNICODE_STRING};
use windows_sys::Win32::System::LibraryLoader::GetProcAddress;

/// A loaded module (a DLL or the program).
#[derive(Clone, Copy, Debug)]
pub struct Module {
    base: usize,
    size: usize,
    name: (*const u16, usize),
    path: (*const u16, usize),
}

impl Module {
    /// A module at `base`, `size` bytes long. The strings are its file name and its full path,
    /// which the loader keeps.
    ///
    /// # Safety
    /// A module is loaded there, and both strings live as long as the value is used.
    pub unsafe fn new(
        base: usize,
        size: usize,
        name: &UNICODE_STRING,
        path: &UNICODE_STRING,
    ) -> Module {
        let units =
            |string: &UNICODE_STRING| (string.Buffer.cast_const(), usize::from(string.Length) / 2);
        Module { base, size, name: units(name), path: units(path) }
    }

    /// Where it begins.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Its size in memory, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: usize) -> bool {
        (self.base..self.base + self.size).contains(&address)
    }

    /// Its file name, in UTF-16.
    pub fn name(&self) -> &[u16] {
        slice(self.name)
    }

    /// Its full path, in UTF-16.
    pub fn path(&self) -> &[u16] {
        slice(self.path)
    }

    /// Whether its file name is `name` (in lower case), letters compared without case.
    pub fn name_is(&self, name: &str) -> bool {
        let lower = |unit: u16| match unit {
            0x41..=0x5A => unit + 0x20,
            other => other,
        };
        self.name().iter().map(|&unit| lower(unit)).eq(name.bytes().map(u16::from))
    }

    /// The address of the function that it exports as `name`.
    pub fn export(&self, name: &CStr) -> Option<usize> {
        // SAFETY: the module is loaded and the name NUL-terminated.
        let function = unsafe { GetProcAddress(self.handle(), name.as_ptr().cast()) };
        function.map(|function| function as *const c_void as usize)
    }

    /// The address of the word through which it calls the function that it imports as `name`.
    pub fn import_slot(&self, name: &CStr) -> Option<usize> {
        crate::imports::slot(self, name)
    }

    /// The handle by which the system's functions know it.
    pub fn handle(&self) -> HMODULE {
        self.base as HMODULE
    }
}

fn slice<'a>((units, count): (*const u16, usize)) -> &'a [u16] {
    if units.is_null() {
        return &[];
    }
    // SAFETY: `Module::new`'s contract.
    unsafe { core::slice::from_raw_parts(units, count) }
}

/// A link of the loader's lists.
#[repr(C)]
struct Link {
    next: *const Link,
    previous: *const Link,
}

/// The loader's record of a module, as far as we read it; its beginning has been the same since
/// Windows XP (`LDR_DATA_TABLE_ENTRY` in the system's symbols).
#[repr(C)]
struct Entry {
    load_order: Link,
    memory_order: Link,
    initialization_order: Link,
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
    load_order: Link,
}

/// The modules in the order in which they were loaded.
///
/// The caller holds the loader's lock (it runs in a DLL's entry point or in a notification of the
/// loader): the list does not change meanwhile.
pub fn loaded_modules() -> impl Iterator<Item = Module> {
    let head = loader_data().map_or(null(), |data| &raw const data.load_order);
    let mut link = match head.is_null() {
        true => head,
        // SAFETY: the list is circular, and the loader's lock is held.
        false => unsafe { (*head).next },
    };
    core::iter::from_fn(move || {
        if link == head {
            return None;
        }
        // SAFETY: every link but the head is the first field of an entry.
        unsafe {
            let entry = &*link.cast::<Entry>();
            link = (*link).next;
            Some(Module::new(entry.base, entry.size as usize, &entry.name, &entry.path))
        }
    })
}

fn loader_data() -> Option<&'static LoaderData> {
    let peb: *const *const LoaderData;
    // SAFETY: the TEB holds the PEB's address, and the PEB, as its fourth pointer-sized field, that
    // of the loader's data.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, gs:[0x60]", out(reg) peb, options(nostack, pure, readonly, preserves_flags));
        #[cfg(target_arch = "x86")]
        core::arch::asm!("mov {}, fs:[0x30]", out(reg) peb, options(nostack, pure, readonly, preserves_flags));
        (*peb.add(3)).as_ref()
    }
}
