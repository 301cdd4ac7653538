//! `allograft assist`: the module loaded into a process of this launcher's machine, for a launcher
//! or a module of the other bitness (see [`Assistant`](allograft_inject::Assistant)).
//!
//! Nobody types this command. The caller hands the process down as a handle, and its first thread
//! too if the process has not begun.

use crate::args::AssistArgs;
use crate::error::Error;
use crate::injection::failure;
use crate::windows::process::Process;
use crate::windows::wide;
use allograft_image::Machine;
use allograft_inject::{Ending, Handle, Windows, load_by_thread, queue_load};
use std::os::windows::io::{FromRawHandle, OwnedHandle};

/// Loads the module, or has it loaded when the process begins. Returns the exit code, see
/// [`Ending`].
pub fn run(args: &AssistArgs) -> Result<u32, Error> {
    let handle = Handle::from_number(args.process);
    // SAFETY: the program that started this one made the handle for it, and nobody else here has
    // it. The system refuses a number that is no handle.
    let process = Process::new(unsafe { OwnedHandle::from_raw_handle(handle.0 as *mut _) });
    let machine = process.machine();
    if machine != Machine::OWN {
        return Err(Error::cannot_take_over(
            process,
            format_args!(
                "it is a program for {machine}, and this launcher is for {}",
                Machine::OWN
            ),
        ));
    }
    let path = wide(args.module.as_os_str());
    let target = Handle::from(&process);
    let ending = match args.thread.map(Handle::from_number) {
        None => load_by_thread(&Windows, target, &path, args.timeout),
        // The path stays in the process: nobody here waits until it has been read.
        Some(thread) => {
            let event = args.event.map(Handle::from_number);
            queue_load(&Windows, target, thread, &path, event).map(|()| Ending::Returned)
        }
    };
    ending.map(|ending| ending as u32).map_err(|error| failure(&process, error))
}
