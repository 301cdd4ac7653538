//! Job objects: processes that end together.

use super::check;
use super::process::Process;
use crate::error::Error;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject,
};

/// A job that ends its processes, and all that they start, when it is dropped or this program ends.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl Job {
    pub fn new() -> Result<Job, Error> {
        // SAFETY: without attributes and name the system makes a job that nobody else can open.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        check((!job.is_null()).into(), "make a job")?;
        // SAFETY: the handle was just made. Children do not inherit it, so it is the only one.
        let job = Job(unsafe { OwnedHandle::from_raw_handle(job) });
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        // SAFETY: the structure is the one of this information class, and lives during the call.
        let is_set = unsafe {
            SetInformationJobObject(
                job.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast(),
                size_of_val(&limits) as u32,
            )
        };
        check(is_set, "have a job's processes end with it")?;
        Ok(job)
    }

    pub fn assign(&self, process: &Process) -> Result<(), Error> {
        // SAFETY: `self` and `process` keep the handles open during the call.
        let assigned = unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.raw()) };
        check(assigned, format_args!("take {process} into a job"))
    }
}
