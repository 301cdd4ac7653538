//! The status page of one process, through which the launcher and the module talk.

use super::last_error;
use super::process::Process;
use super::security::Descriptor;
use crate::error::Error;
use crate::module::Request;
use allograft_status::{MAGIC, Page, Rejected, State, VERSION, section_name};
use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Acquire, Release};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, FALSE, GetLastError, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS,
    MapViewOfFile, OpenFileMappingW, PAGE_READWRITE, UnmapViewOfFile,
};

/// The status page, mapped. It lives as long as somebody holds it: this, or the module.
pub struct Section {
    page: NonNull<Page>,
    _handle: OwnedHandle,
}

impl Section {
    /// Opens the page of `process`, or creates it.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or there is something of that name that is no page of this process.
    pub fn of(process: &Process) -> Result<Section, Error> {
        let handle = open_or_create(process)?;
        let section = Section { page: map(&handle, process)?, _handle: handle };
        section.introduce(process)?;
        Ok(section)
    }

    /// Writes the header where there is none yet, and checks it where there is one.
    fn introduce(&self, process: &Process) -> Result<(), Error> {
        let created = process.created()?;
        let page = self.snapshot();
        if page.magic != [0; MAGIC.len()] {
            return page
                .check(process.pid(), created)
                .map_err(|rejected| Error::cannot_take_over(process, rejected));
        }
        let page = self.page.as_ptr();
        // SAFETY: the view is as long as a page and ours to write; no reference into it exists.
        // Another launcher that should do the same at this moment writes the same.
        unsafe {
            (&raw mut (*page).version).write_volatile(VERSION);
            (&raw mut (*page).size).write_volatile(size_of::<Page>() as u32);
            (&raw mut (*page).pid).write_volatile(process.pid());
            (&raw mut (*page).process_created).write_volatile(created);
            (&raw mut (*page).magic).write_volatile(MAGIC);
        }
        Ok(())
    }

    /// Leaves the options for the module, which reads them when it is loaded.
    pub fn tell(&self, request: &Request) {
        let page = self.page.as_ptr();
        // SAFETY: the view is as long as a page and ours to write; `Request` promises that both
        // paths fit; nobody reads them until `present` says that they are there.
        unsafe {
            let log = (&raw mut (*page).options.log).cast::<u16>();
            ptr::copy_nonoverlapping(request.log.as_ptr(), log, request.log.len());
            let report = (&raw mut (*page).options.report).cast::<u16>();
            ptr::copy_nonoverlapping(request.report.as_ptr(), report, request.report.len());
            (&raw mut (*page).options.count).write_volatile(request.count.into());
            (&raw mut (*page).options.follow).write_volatile(request.follow.into());
            (*page).options.present.store(1, Release);
        }
    }

    /// A copy of the page, which nobody changes while it is looked at.
    pub fn snapshot(&self) -> Box<Page> {
        let mut copy: Box<MaybeUninit<Page>> = Box::new_uninit();
        let page = self.page.as_ptr();
        // SAFETY: the view is as long as a page, and any bytes make a `Page`. The module writes
        // what belongs to a state before the state, so that reading the state first makes the rest
        // of the copy at least as new.
        unsafe {
            (*page).status.state.load(Acquire);
            ptr::copy_nonoverlapping(page, copy.as_mut_ptr(), 1);
            copy.assume_init()
        }
    }
}

/// A copy of the page of `process`, without a trace in the process; none if it has none.
///
/// # Errors
///
/// If there is something of that name that is no page of this process.
pub fn read(process: &Process) -> Result<Option<Box<Page>>, Error> {
    let (name, _) = section_name(process.pid());
    // SAFETY: the name is NUL-terminated.
    let handle = unsafe { OpenFileMappingW(FILE_MAP_READ, FALSE, name.as_ptr()) };
    if handle.is_null() {
        let error = last_error(format!("open the status page of {process}"));
        // SAFETY: asks for a number.
        let missing = unsafe { GetLastError() } == ERROR_FILE_NOT_FOUND;
        return if missing { Ok(None) } else { Err(error) };
    }
    let unfit = |reason: Rejected| Error::new(format!("no status of {process}: {reason}"));
    let section = Section {
        // A section that is smaller than a page cannot be mapped as one.
        page: view(handle, FILE_MAP_READ).ok_or_else(|| unfit(Rejected::NotAPage))?,
        // SAFETY: the handle was just opened, and nobody else has it.
        _handle: unsafe { OwnedHandle::from_raw_handle(handle) },
    };
    let page = section.snapshot();
    match page.check(process.pid(), process.created()?) {
        // A launcher has made it, and the module is not there yet.
        Ok(()) if page.status.state.load(Acquire) == State::Empty as u32 => Ok(None),
        Ok(()) => Ok(Some(page)),
        Err(rejected) => Err(unfit(rejected)),
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.page.as_ptr().cast() };
        // SAFETY: the view was mapped by `map`, and nothing borrowed from it is left.
        unsafe { UnmapViewOfFile(view) };
    }
}

fn open_or_create(process: &Process) -> Result<OwnedHandle, Error> {
    let (name, _) = section_name(process.pid());
    let descriptor = Descriptor::for_sharing_with(process)?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    // SAFETY: the attributes are complete, the descriptor outlives the call, and the name is
    // NUL-terminated.
    let handle = unsafe {
        CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            &attributes,
            PAGE_READWRITE,
            0,
            size_of::<Page>() as u32,
            name.as_ptr(),
        )
    };
    if handle.is_null() {
        return Err(last_error(format!("share memory with {process}")));
    }
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn map(handle: &OwnedHandle, process: &Process) -> Result<NonNull<Page>, Error> {
    view(handle.as_raw_handle(), FILE_MAP_READ | FILE_MAP_WRITE)
        .ok_or_else(|| last_error(format!("look into the memory shared with {process}")))
}

/// Maps a section as a page; nothing if that cannot be, as with a section smaller than one.
fn view(section: HANDLE, access: FILE_MAP) -> Option<NonNull<Page>> {
    // SAFETY: the handle is open.
    let view = unsafe { MapViewOfFile(section, access, 0, 0, size_of::<Page>()) };
    NonNull::new(view.Value.cast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_status::PATH_UNITS;
    use std::process::{Child, Command, Stdio};

    /// A process of its own for each test, since a page belongs to a process.
    struct Other(Child);

    impl Other {
        fn start() -> Other {
            let child = Command::new("cmd")
                .args(["/c", "pause"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn();
            Other(child.expect("it starts"))
        }

        fn process(&self) -> Process {
            Process::open(self.0.id()).expect("it is ours")
        }
    }

    impl Drop for Other {
        fn drop(&mut self) {
            self.0.kill().expect("it ends");
            self.0.wait().expect("it has ended");
        }
    }

    #[test]
    fn a_fresh_page_is_of_its_process_and_says_nothing_yet() {
        let other = Other::start();
        let process = other.process();
        let section = Section::of(&process).unwrap();
        let page = section.snapshot();
        assert_eq!(page.check(process.pid(), process.created().unwrap()), Ok(()));
        assert_eq!(page.options.present.into_inner(), 0);
        assert_eq!(page.status.state.into_inner(), State::Empty as u32);
    }

    #[test]
    fn what_one_says_the_other_reads() {
        let other = Other::start();
        let process = other.process();
        let launcher = Section::of(&process).unwrap();
        let module = Section::of(&process).unwrap();
        let request = Request {
            module: None,
            log: "a.log\0".encode_utf16().collect(),
            report: vec![u16::from(b'r'); PATH_UNITS],
            count: true,
            follow: true,
        };
        launcher.tell(&request);
        let page = module.snapshot();
        assert_eq!(page.options.log[..6], request.log);
        assert_eq!(page.options.report[..], request.report);
        assert_eq!(page.options.count, 1);
        // SAFETY: the view is a page, and the state is atomic.
        unsafe {
            let state = &raw const (*module.page.as_ptr()).status.state;
            (*state).store(State::NoRuntime as u32, Release);
        }
        assert_eq!(launcher.snapshot().status.state.into_inner(), State::NoRuntime as u32);
    }

    #[test]
    fn a_reader_sees_what_the_module_has_said_and_leaves_no_page_behind() {
        let other = Other::start();
        let process = other.process();
        assert!(read(&process).unwrap().is_none());
        let module = Section::of(&process).unwrap();
        assert!(read(&process).unwrap().is_none(), "nothing is said yet");
        // SAFETY: the view is a page, and the state is atomic.
        unsafe {
            let state = &raw const (*module.page.as_ptr()).status.state;
            (*state).store(State::Active as u32, Release);
        }
        let page = read(&process).unwrap().expect("a page");
        assert_eq!(page.status.state.into_inner(), State::Active as u32);
    }

    #[test]
    fn a_planted_section_of_another_size_or_content_is_refused() {
        for size in [64, size_of::<Page>() as u32] {
            let other = Other::start();
            let process = other.process();
            let (name, _) = section_name(process.pid());
            // SAFETY: the name is NUL-terminated.
            let planted = unsafe {
                CreateFileMappingW(
                    INVALID_HANDLE_VALUE,
                    ptr::null(),
                    PAGE_READWRITE,
                    0,
                    size,
                    name.as_ptr(),
                )
            };
            // SAFETY: the handle was just made, and nobody else has it.
            let _planted = unsafe { OwnedHandle::from_raw_handle(planted) };
            let error = read(&process).err().expect("a refusal").to_string();
            assert!(error.contains("not a status page"), "{error}");
        }
    }

    #[test]
    fn a_page_that_speaks_of_another_process_is_refused() {
        let other = Other::start();
        let process = other.process();
        let section = Section::of(&process).unwrap();
        // SAFETY: the view is a page, and nobody else looks at it.
        unsafe { (&raw mut (*section.page.as_ptr()).process_created).write(1) };
        let error = Section::of(&process).err().expect("a refusal");
        assert!(error.to_string().contains("belongs to another process"), "{error}");
    }
}
