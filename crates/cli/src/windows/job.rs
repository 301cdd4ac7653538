//! A job: processes that end together.

use super::last_error;
use super::process::Process;
use crate::error::Error;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::FALSE;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject,
};

/// A job whose processes, and all that they start, end when it is dropped, be it because this
/// program ends.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl Job {
    /// A job without processes.
    ///
    /// # Errors
    ///
    /// If the system does not give one.
    pub fn ending_with_us() -> Result<Job, Error> {
        // SAFETY: no memory is handed over.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(last_error("make a job"));
        }
        // SAFETY: the handle was just made, and nobody else has it. It is not inherited, so that it
        // is the only one.
        let job = Job(unsafe { OwnedHandle::from_raw_handle(job) });
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        // SAFETY: the handle is open, and the structure is the one that this class of information
        // has.
        let is_set = unsafe {
            SetInformationJobObject(
                job.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast(),
                size_of_val(&limits) as u32,
            )
        };
        if is_set == FALSE {
            return Err(last_error("have a job's processes end with it"));
        }
        Ok(job)
    }

    /// Takes `process` in.
    ///
    /// # Errors
    ///
    /// If the system does not allow it.
    pub fn take(&self, process: &Process) -> Result<(), Error> {
        // SAFETY: both handles are open.
        if unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.raw()) } == FALSE {
            return Err(last_error(format!("take {process} into a job")));
        }
        Ok(())
    }
}
