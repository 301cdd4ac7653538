//! A system of two processes, this one and a child, that counts what it has given out and refuses
//! what it is told to refuse.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use allograft_inject::{
    Descriptor, Function, Handle, Header, Page, Sid, State, System, SystemError, SystemResult,
    TokenSid, until_nul,
};

pub const CHILD: Handle = Handle(1);
pub const CHILD_ID: u32 = 42;
/// The first thread of the child.
pub const THREAD: Handle = Handle(2);
pub const OWN_ID: u32 = 7;
/// When both processes were created.
pub const CREATED: u64 = 99;

/// The error of a call that was told to fail.
pub const REFUSED: SystemError = SystemError(1000);

const USER: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 100, 0, 0, 0];
pub const OTHER_USER: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 101, 0, 0, 0];
const MEDIUM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 16, 0, 0x20, 0, 0];

/// How waiting ends.
#[derive(Clone, Copy, Default)]
pub enum Wait {
    #[default]
    Signals,
    /// The second object is signalled, and the first is not.
    SignalsSecond,
    TimesOut,
}

/// All that a test may set or look at is public.
#[derive(Default)]
pub struct Fake {
    /// How many calls succeed before one is refused.
    pub calls_before_refusal: Cell<Option<usize>>,
    /// How [`System::wait`] ends.
    pub wait_result: Cell<Wait>,
    pub program_error: Cell<Option<SystemError>>,
    pub program_exit_code: Cell<u32>,
    /// The owner of all sections, in place of the user.
    pub section_owner: Cell<Option<[u8; 12]>>,
    /// The package of the child's AppContainer.
    pub container: Cell<Option<[u8; 12]>>,
    /// How much later than [`CREATED`] both processes were created.
    pub created_later: Cell<u64>,
    pub written: RefCell<Vec<u16>>,
    pub queued: RefCell<Vec<Function>>,
    /// The inheritable handles that were made, in order.
    pub inheritable: RefCell<Vec<Handle>>,
    pub inherited: RefCell<Vec<Handle>>,
    pub command_line: RefCell<String>,
    pub terminated: Cell<bool>,
    pub mutexes_released: Cell<usize>,
    /// The name of the section that was created last.
    pub section_name: RefCell<Vec<u16>>,
    last_handle: Cell<isize>,
    open: RefCell<Vec<Handle>>,
    open_in_child: RefCell<Vec<Handle>>,
    allocated: RefCell<Vec<usize>>,
    views: RefCell<Vec<NonNull<Page>>>,
    sections: RefCell<HashMap<Vec<u16>, Box<Page>>>,
    section_of: RefCell<HashMap<Handle, Vec<u16>>>,
}

impl Fake {
    /// Has the page of `process` exist already.
    pub fn plant_page(&self, process: Handle, state: State) {
        let pid = self.process_id(process);
        let mut page = empty_page();
        page.header = Header::new(pid, CREATED);
        *page.status.state.get_mut() = state as u32;
        let name: Vec<u16> = format!("Local\\allograft.{pid}\0").encode_utf16().collect();
        self.sections.borrow_mut().insert(name, page);
    }

    /// What was given out and not given back.
    pub fn left(&self) -> Vec<&'static str> {
        let mut left = Vec::new();
        left.extend(self.open.borrow().iter().map(|_| "handle"));
        left.extend(self.open_in_child.borrow().iter().map(|_| "handle of the child"));
        left.extend(self.allocated.borrow().iter().map(|_| "memory of the child"));
        left.extend(self.views.borrow().iter().map(|_| "view"));
        left
    }

    #[track_caller]
    pub fn assert_nothing_left(&self, when: &str) {
        assert!(self.left().is_empty(), "{when} these are left: {:?}", self.left());
    }

    /// A call that may be refused.
    fn call(&self) -> SystemResult<()> {
        // The calls after the one refused succeed again: they should be clean-up only.
        let left = self.calls_before_refusal.get();
        self.calls_before_refusal.set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) { Err(REFUSED) } else { Ok(()) }
    }

    fn new_handle(&self, open: &RefCell<Vec<Handle>>) -> Handle {
        let handle = Handle(self.last_handle.get() + 100);
        self.last_handle.set(handle.0);
        open.borrow_mut().push(handle);
        handle
    }

    fn new_section(&self, name: &[u16]) -> Handle {
        let handle = self.new_handle(&self.open);
        self.section_of.borrow_mut().insert(handle, name.to_vec());
        handle
    }
}

fn empty_page() -> Box<Page> {
    // SAFETY: every field is plain data for which all zeroes is a value.
    Box::new(unsafe { MaybeUninit::zeroed().assume_init() })
}

/// The units before the first NUL, and it.
fn with_nul(units: &[u16]) -> &[u16] {
    &units[..=until_nul(units).len()]
}

fn remove<T: PartialEq + std::fmt::Debug>(list: &RefCell<Vec<T>>, item: T) {
    let mut list = list.borrow_mut();
    let index = list.iter().position(|known| *known == item);
    list.remove(index.unwrap_or_else(|| panic!("{item:?} is not there to be given back")));
}

impl System for Fake {
    fn close(&self, handle: Handle) {
        remove(&self.open, handle);
    }

    fn duplicate(&self, _handle: Handle, to: Handle, inheritable: bool) -> SystemResult<Handle> {
        self.call()?;
        let copy = match to {
            CHILD => self.new_handle(&self.open_in_child),
            _ => self.new_handle(&self.open),
        };
        if inheritable {
            self.inheritable.borrow_mut().push(copy);
        }
        Ok(copy)
    }

    fn close_in(&self, process: Handle, handle: Handle) {
        assert_eq!(process, CHILD);
        remove(&self.open_in_child, handle);
    }

    fn create_section(
        &self,
        name: &[u16],
        _descriptor: Option<&Descriptor>,
    ) -> SystemResult<(Handle, bool)> {
        self.call()?;
        let name = with_nul(name);
        let existed = self.sections.borrow().contains_key(name);
        self.sections.borrow_mut().entry(name.to_vec()).or_insert_with(empty_page);
        *self.section_name.borrow_mut() = name.to_vec();
        Ok((self.new_section(name), existed))
    }

    fn open_section(&self, name: &[u16]) -> SystemResult<Option<Handle>> {
        self.call()?;
        let name = with_nul(name);
        let exists = self.sections.borrow().contains_key(name);
        Ok(exists.then(|| self.new_section(name)))
    }

    fn map(&self, section: Handle, _writable: bool) -> SystemResult<NonNull<Page>> {
        self.call()?;
        let name = self.section_of.borrow()[&section].clone();
        let mut sections = self.sections.borrow_mut();
        let page = NonNull::from(&mut **sections.get_mut(&name).expect("it was created"));
        self.views.borrow_mut().push(page);
        Ok(page)
    }

    fn unmap(&self, page: NonNull<Page>) {
        remove(&self.views, page);
    }

    fn section_security(&self, _section: Handle, descriptor: &mut [u8]) -> SystemResult<()> {
        const HEADER: usize = 20;
        self.call()?;
        descriptor[..HEADER].fill(0);
        descriptor[4] = HEADER as u8;
        descriptor[HEADER..HEADER + 12].copy_from_slice(&self.section_owner.get().unwrap_or(USER));
        Ok(())
    }

    fn process_id(&self, process: Handle) -> u32 {
        match process {
            Handle::OWN_PROCESS => OWN_ID,
            _ => CHILD_ID,
        }
    }

    fn creation_time(&self, _process: Handle) -> SystemResult<u64> {
        self.call()?;
        Ok(CREATED + self.created_later.get())
    }

    fn token_sid(&self, _process: Handle, which: TokenSid) -> SystemResult<Sid> {
        self.call()?;
        let bytes = match which {
            TokenSid::User | TokenSid::Owner => USER,
            TokenSid::Integrity => MEDIUM,
        };
        Ok(Sid::read(&bytes, 0).expect("a whole identifier"))
    }

    fn container(&self, process: Handle) -> Option<Sid> {
        let package = self.container.get().filter(|_| process != Handle::OWN_PROCESS)?;
        Some(Sid::read(&package, 0).expect("a whole identifier"))
    }

    fn is_wow64(&self, process: Handle) -> bool {
        process == CHILD
    }

    fn allocate(&self, _process: Handle, size: usize) -> SystemResult<usize> {
        self.call()?;
        assert!(size > 0);
        let address = 0x1000 * (1 + self.allocated.borrow().len());
        self.allocated.borrow_mut().push(address);
        Ok(address)
    }

    fn free(&self, process: Handle, address: usize) {
        assert_eq!(process, CHILD);
        remove(&self.allocated, address);
    }

    fn write(&self, _process: Handle, address: usize, units: &[u16]) -> SystemResult<()> {
        self.call()?;
        assert!(self.allocated.borrow().contains(&address));
        *self.written.borrow_mut() = units.to_vec();
        Ok(())
    }

    fn queue_call(&self, thread: Handle, function: Function, argument: usize) -> SystemResult<()> {
        self.call()?;
        assert_eq!(thread, THREAD);
        match function {
            Function::LoadLibrary => assert!(self.allocated.borrow().contains(&argument)),
            Function::SetEvent => {
                let event = Handle(argument as isize);
                assert!(self.open_in_child.borrow().contains(&event));
            }
        }
        self.queued.borrow_mut().push(function);
        Ok(())
    }

    fn start_thread(
        &self,
        _process: Handle,
        function: Function,
        argument: usize,
    ) -> SystemResult<Handle> {
        self.call()?;
        assert_eq!(function, Function::LoadLibrary);
        assert!(self.allocated.borrow().contains(&argument));
        Ok(self.new_handle(&self.open))
    }

    fn create_event(&self) -> SystemResult<Handle> {
        self.call()?;
        Ok(self.new_handle(&self.open))
    }

    fn create_mutex(&self, name: &[u16], _descriptor: &Descriptor) -> SystemResult<Handle> {
        self.call()?;
        let name = String::from_utf16(with_nul(name)).expect("a plain name");
        assert_eq!(name, "Local\\allograft.42.launcher\0");
        Ok(self.new_handle(&self.open))
    }

    fn release_mutex(&self, mutex: Handle) {
        assert!(self.open.borrow().contains(&mutex), "released after it was closed");
        self.mutexes_released.set(self.mutexes_released.get() + 1);
    }

    fn wait(&self, objects: &[Handle], _timeout: Option<Duration>) -> SystemResult<Option<usize>> {
        self.call()?;
        match self.wait_result.get() {
            Wait::Signals => Ok(Some(0)),
            Wait::SignalsSecond => {
                assert_eq!(objects.len(), 2);
                Ok(Some(1))
            }
            Wait::TimesOut => Ok(None),
        }
    }

    fn start_program(
        &self,
        path: &[u16],
        command_line: &mut [u16],
        inherited: &[Handle],
        error_stream: Option<Handle>,
    ) -> SystemResult<Handle> {
        self.call()?;
        if let Some(error) = self.program_error.get() {
            return Err(error);
        }
        assert_eq!(path.last(), Some(&0));
        let line = String::from_utf16(with_nul(command_line)).expect("text");
        *self.command_line.borrow_mut() = line.trim_end_matches('\0').to_owned();
        assert!(error_stream.is_none_or(|stream| inherited.contains(&stream)));
        assert!(inherited.iter().all(|handle| self.open.borrow().contains(handle)));
        *self.inherited.borrow_mut() = inherited.to_vec();
        Ok(self.new_handle(&self.open))
    }

    fn exit_code(&self, _process: Handle) -> SystemResult<u32> {
        self.call()?;
        Ok(self.program_exit_code.get())
    }

    fn terminate(&self, _process: Handle) {
        self.terminated.set(true);
    }
}
