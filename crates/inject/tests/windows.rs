//! The injection on Windows: real processes, sections, locks and descriptors.

#![cfg(windows)]

use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::{Child, Command, Stdio};
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use allograft_inject::{
    Ending, Error, Handle, InjectionLock, OptionValues, PATH_UNITS, Page, Rejected, Route, State,
    StatusPage, System, TokenSid, Windows, load_by_thread,
};
use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, LABEL_SECURITY_INFORMATION};
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_READWRITE};

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

    fn handle(&self) -> Handle {
        Handle(self.0.as_raw_handle() as isize)
    }

    fn page(&self) -> StatusPage<'static, Windows> {
        StatusPage::for_target(&Windows, self.handle()).expect("a page")
    }

    fn read(&self) -> Result<Option<Box<Page>>, Error> {
        let page = StatusPage::open(&Windows, self.handle())?;
        Ok(page.map(|page| copy(&page)))
    }

    /// Changes the page as its module does.
    fn change(&self, change: impl FnOnce(&mut Page)) {
        let mut view = self.page().leak();
        // SAFETY: the view is a whole page, and nobody else looks at it.
        change(unsafe { view.as_mut() });
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().expect("it ends");
        self.0.wait().expect("it has ended");
    }
}

fn copy(page: &StatusPage<'_, Windows>) -> Box<Page> {
    let mut copy: Box<MaybeUninit<Page>> = Box::new_uninit();
    page.copy_to(&mut copy);
    // SAFETY: `copy_to` has initialised it.
    unsafe { copy.assume_init() }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

#[test]
fn a_fresh_page_belongs_to_its_process_and_says_nothing_yet() {
    let other = Other::start();
    let page = copy(&other.page());
    let created = Windows.creation_time(other.handle()).unwrap();
    assert_eq!(page.header.check(other.0.id(), created), Ok(()));
    assert_eq!(page.options.values(), None);
    assert_eq!(page.status.state.load(Relaxed), State::Empty as u32);
}

#[test]
fn the_options_that_one_side_writes_the_other_reads() {
    let other = Other::start();
    let launcher = other.page();
    let module = other.page();
    let log = wide("a.log");
    let report = vec![u16::from(b'r'); PATH_UNITS - 1];
    launcher.set_options(&OptionValues {
        count: true,
        log: &log,
        report: &report,
        ..OptionValues::default()
    });
    let page = copy(&module);
    let values = page.options.values().expect("options");
    assert_eq!(values.log, &log[..log.len() - 1]);
    assert_eq!(values.report, report);
    assert_eq!((values.count, values.follow), (true, false));
    other.change(|page| page.status.state.store(State::NoRuntime as u32, Release));
    assert_eq!(copy(&launcher).status.state.load(Relaxed), State::NoRuntime as u32);
}

#[test]
fn a_reader_sees_what_the_module_has_written_and_leaves_no_page_behind() {
    let other = Other::start();
    assert!(other.read().unwrap().is_none());
    let _module = other.page();
    assert!(other.read().unwrap().is_none(), "nothing is written yet");
    other.change(|page| page.status.state.store(State::Active as u32, Release));
    let page = other.read().unwrap().expect("a page");
    assert_eq!(page.status.state.into_inner(), State::Active as u32);
}

#[test]
fn a_page_left_in_a_process_is_there_as_long_as_that_process() {
    let mut other = Other::start();
    let page = StatusPage::for_child(&Windows, other.handle()).unwrap();
    page.set_options(&OptionValues::default());
    page.leave_in(other.handle()).unwrap();
    assert!(copy(&other.page()).options.values().is_some());
    other.0.kill().expect("it ends");
    other.0.wait().expect("it has ended");
    assert!(copy(&other.page()).options.values().is_none());
}

#[test]
fn a_planted_section_of_another_size_or_content_is_refused() {
    for size in [64, size_of::<Page>() as u32] {
        let other = Other::start();
        let name = wide(&format!(r"Local\allograft.{}", other.0.id()));
        // SAFETY: the name is NUL-terminated.
        let planted = unsafe {
            CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE, 0, size, name.as_ptr())
        };
        // SAFETY: the handle was just made, and nobody else has it.
        let _planted = unsafe { OwnedHandle::from_raw_handle(planted) };
        let error = other.read().err();
        assert_eq!(error, Some(Error::Rejected(Rejected::NotAPage)), "{size} bytes");
    }
}

#[test]
fn a_page_of_another_process_is_refused() {
    let other = Other::start();
    let _page = other.page();
    other.change(|page| page.header.process_created = 1);
    let error = StatusPage::for_target(&Windows, other.handle()).err();
    assert_eq!(error, Some(Error::Rejected(Rejected::OtherProcess)));
}

#[test]
fn the_page_that_a_launcher_made_for_this_process_is_trusted() {
    let launcher = StatusPage::for_target(&Windows, Handle::OWN_PROCESS).unwrap();
    launcher.set_options(&OptionValues { follow: true, ..OptionValues::default() });
    let module = StatusPage::for_own_process(&Windows).unwrap();
    assert!(copy(&module).options.values().expect("options").follow);
}

#[test]
fn a_second_launcher_waits_for_the_first_and_then_gets_the_lock() {
    let acquire = |timeout| InjectionLock::acquire(&Windows, Handle::OWN_PROCESS, timeout);
    let first = acquire(Duration::ZERO).unwrap();
    let (sender, receiver) = mpsc::channel();
    let second = thread::spawn(move || {
        sender.send(acquire(Duration::ZERO).err()).expect("somebody listens");
        acquire(Duration::from_secs(60)).is_ok()
    });
    assert_eq!(receiver.recv().expect("an answer"), Some(Error::Locked), "it did not wait");
    drop(first);
    assert!(second.join().expect("it ends"));
}

#[test]
fn a_lock_is_free_again_when_the_thread_that_held_it_has_ended() {
    let other = Other::start();
    let handle = other.handle();
    thread::spawn(move || {
        std::mem::forget(InjectionLock::acquire(&Windows, handle, Duration::ZERO))
    })
    .join()
    .expect("it ends");
    assert!(InjectionLock::acquire(&Windows, other.handle(), Duration::from_secs(60)).is_ok());
}

#[test]
fn a_running_process_loads_a_library_or_fails_to_and_returns() {
    let other = Other::start();
    for name in ["version.dll", "no-such-library.dll"] {
        let timeout = Some(Duration::from_secs(60));
        let ending = load_by_thread(&Windows, other.handle(), &wide(name), timeout);
        assert_eq!(ending, Ok(Ending::Returned), "{name}");
    }
}

#[test]
fn a_handle_that_is_none_of_a_process_is_refused_with_the_systems_code() {
    let error = load_by_thread(&Windows, Handle(0x7FF0), &wide("version.dll"), None).unwrap_err();
    assert_eq!(error.to_string(), "cannot get memory in it: system error 6");
}

#[test]
fn a_process_of_the_same_bitness_is_reached_directly() {
    assert_eq!(Route::for_module(&Windows, Handle::OWN_PROCESS), Route::Direct);
}

/// Text that the system has allocated.
fn take_text(text: *mut u16) -> String {
    let mut units = Vec::new();
    // SAFETY: the text ends with a NUL, and is freed as its maker demands.
    unsafe {
        while *text.add(units.len()) != 0 {
            units.push(*text.add(units.len()));
        }
        LocalFree(text.cast());
    }
    String::from_utf16(&units).expect("text")
}

fn sid_text(which: TokenSid) -> String {
    let sid = Windows.token_sid(Handle::OWN_PROCESS, which).unwrap();
    let mut text = null_mut();
    // SAFETY: the identifier is whole, and `text` can be written.
    let converted =
        unsafe { ConvertSidToStringSidW(sid.as_bytes().as_ptr().cast_mut().cast(), &mut text) };
    assert_ne!(converted, 0);
    take_text(text)
}

#[test]
fn the_system_reads_the_descriptor_as_it_is_meant() {
    let descriptor = Windows.sharing_descriptor(Handle::OWN_PROCESS).unwrap();
    let mut text = null_mut();
    // SAFETY: the descriptor is whole, and `text` can be written.
    let converted = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.as_bytes().as_ptr().cast_mut().cast(),
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION | LABEL_SECURITY_INFORMATION,
            &mut text,
            null_mut(),
        )
    };
    assert_ne!(converted, 0, "the system refuses the descriptor");
    let text = take_text(text);
    let user = sid_text(TokenSid::User);
    assert!(text.starts_with("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;"), "{text}");
    assert!(text.contains(&format!("{user})")) || user == "S-1-5-18", "{text} for {user}");
}
