//! The status page of one process, mapped: how it is made, opened, checked and filled.

use core::mem::{self, MaybeUninit};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Acquire;

use crate::error::{At, Error, Step};
use crate::layout::{Header, MAGIC, OptionValues, Options, Page, Rejected, State};
use crate::security::{self, Descriptor};
use crate::system::{Handle, Owned, System, TokenSid};
use crate::text::{ObjectName, object_name};

/// The mapped page. The section with it lives as long as somebody has a handle or a view of it:
/// this value, the module, or a process that it was left in.
pub struct StatusPage<'s, S: System> {
    system: &'s S,
    view: NonNull<Page>,
    section: Owned<'s, S>,
    pid: u32,
    created: u64,
}

/// The name of the section with the page of `process`, as the calling process has to write it.
///
/// The names of a process in an AppContainer lie in a folder of its package. It writes them as
/// every process does; from outside the folder is a part of the name.
fn section_name<S: System>(system: &S, process: Handle) -> ObjectName {
    let pid = system.process_id(process);
    let container = match process {
        Handle::OWN_PROCESS => None,
        other => system.container(other),
    };
    match container {
        None => object_name(format_args!(r"Local\allograft.{pid}")),
        Some(package) => {
            object_name(format_args!(r"Local\AppContainerNamedObjects\{package}\allograft.{pid}"))
        }
    }
}

impl<'s, S: System> StatusPage<'s, S> {
    /// Creates the page of `process` for a launcher, or opens it.
    ///
    /// # Errors
    ///
    /// If the system refuses, or there is a section of that name that is no page of `process`.
    pub fn for_target(system: &'s S, process: Handle) -> Result<Self, Error> {
        let descriptor = system.sharing_descriptor(process).at(Step::ReadToken)?;
        let (page, _) = Self::create(system, process, Some(&descriptor))?;
        // Another launcher may have just created the section; both then write the same header.
        match page.header().magic == [0; MAGIC.len()] {
            true => page.write_header(),
            false => page.check()?,
        }
        Ok(page)
    }

    /// Creates the page of `child`, which has not begun, for its parent.
    pub fn for_child(system: &'s S, child: Handle) -> Result<Self, Error> {
        // Without a descriptor, a child of lower integrity than its parent could not write to it.
        let descriptor = system.sharing_descriptor(child).at(Step::ReadToken)?;
        let (page, _) = Self::create(system, child, Some(&descriptor))?;
        page.write_header();
        Ok(page)
    }

    /// Creates the page of the calling process, or opens the one that was created for it.
    ///
    /// # Errors
    ///
    /// If the system refuses, or the page there is another process's, or its maker is neither this
    /// process's own user (at no lower integrity level), nor an administrator, nor the system.
    pub fn for_own_process(system: &'s S) -> Result<Self, Error> {
        let (page, existed) = Self::create(system, Handle::OWN_PROCESS, None)?;
        if existed {
            page.check()?;
            page.check_maker()?;
        } else {
            page.write_header();
        }
        Ok(page)
    }

    /// Opens the page of `process` to be read. None if it has none, or only one that its module has
    /// not written to.
    ///
    /// # Errors
    ///
    /// If the system refuses, or there is a section of that name that is no page of `process`.
    pub fn open(system: &'s S, process: Handle) -> Result<Option<Self>, Error> {
        let pid = system.process_id(process);
        let name = section_name(system, process);
        let Some(section) = system.open_section(&name).at(Step::OpenSection)? else {
            return Ok(None);
        };
        let section = Owned::new(system, section);
        // A section that is smaller than a page cannot be mapped as one.
        let view = system.map(section.handle, false).map_err(|_| Rejected::NotAPage)?;
        let mut page = StatusPage { system, view, section, pid, created: 0 };
        page.created = system.creation_time(process).at(Step::ReadCreationTime)?;
        page.check()?;
        let is_written = page.state() != State::Empty as u32;
        Ok(is_written.then_some(page))
    }

    /// Maps the section of `process`. True if it existed.
    fn create(
        system: &'s S,
        process: Handle,
        descriptor: Option<&Descriptor>,
    ) -> Result<(Self, bool), Error> {
        let pid = system.process_id(process);
        let created = system.creation_time(process).at(Step::ReadCreationTime)?;
        let (section, existed) = system
            .create_section(&section_name(system, process), descriptor)
            .at(Step::CreateSection)?;
        let section = Owned::new(system, section);
        let view = system.map(section.handle, true).at(Step::MapSection)?;
        Ok((StatusPage { system, view, section, pid, created }, existed))
    }

    fn header(&self) -> Header {
        // SAFETY: the view is a whole page; another process may write to it, so it is read once.
        unsafe { (&raw const (*self.view.as_ptr()).header).read_volatile() }
    }

    fn state(&self) -> u32 {
        // SAFETY: the view is a whole page, and the state is atomic.
        unsafe { (*self.view.as_ptr()).status.state.load(Acquire) }
    }

    fn check(&self) -> Result<(), Rejected> {
        self.header().check(self.pid, self.created)
    }

    /// Writes the header, the magic number last: the page is valid once it is there.
    fn write_header(&self) {
        let header = Header::new(self.pid, self.created);
        // SAFETY: the view is a whole writable page, and no reference into it exists.
        unsafe {
            let place = &raw mut (*self.view.as_ptr()).header;
            place.write_volatile(Header { magic: [0; MAGIC.len()], ..header });
            place.write_volatile(header);
        }
    }

    /// Fails unless this process may take options from whoever made the section.
    fn check_maker(&self) -> Result<(), Error> {
        let mut descriptor = [0; 512];
        self.system
            .section_security(self.section.handle, &mut descriptor)
            .at(Step::ReadSecurity)?;
        let sid = |which| self.system.token_sid(Handle::OWN_PROCESS, which).at(Step::ReadToken);
        let (owner, integrity) = (sid(TokenSid::Owner)?, sid(TokenSid::Integrity)?);
        match security::is_trusted(&descriptor, owner.as_bytes(), integrity.last_number()) {
            true => Ok(()),
            false => Err(Error::Untrusted),
        }
    }

    /// Writes the options, which the module reads when it is loaded.
    pub fn set_options(&self, values: &OptionValues<'_>) {
        // SAFETY: the view is a whole writable page, and the module is not there yet to read it.
        unsafe { Options::write(&raw mut (*self.view.as_ptr()).options, values) };
    }

    /// Copies the page, so that nobody changes it while it is looked at. `copy` is initialised
    /// afterwards.
    pub fn copy_to(&self, copy: &mut MaybeUninit<Page>) {
        // The module writes what belongs to a state before the state. Reading the state first makes
        // the rest of the copy at least as new.
        self.state();
        // SAFETY: the view is a whole page, of which any bytes are valid, and `copy` is another
        // one.
        unsafe { ptr::copy_nonoverlapping(self.view.as_ptr(), copy.as_mut_ptr(), 1) };
    }

    /// Gives `process` a handle of its own to the section. The page then lives at least as long as
    /// that process.
    pub fn leave_in(self, process: Handle) -> Result<(), Error> {
        self.system.duplicate(self.section.handle, process, false).map(drop).at(Step::GiveHandle)
    }

    /// Keeps the page mapped for as long as this process lives.
    pub fn leak(self) -> NonNull<Page> {
        let view = self.view;
        mem::forget(self);
        view
    }
}

impl<S: System> Drop for StatusPage<'_, S> {
    fn drop(&mut self) {
        self.system.unmap(self.view);
    }
}
