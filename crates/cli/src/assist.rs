//! `allograft assist`: the module loaded into a process of this launcher's machine, for a launcher
//! or a module of another one.
//!
//! Nobody types this command. Whoever gives it hands the process down as a handle, which is good
//! for whatever is allowed to the giver; the first thread too if the process has not begun. Handles
//! have 32 significant bits, so that programs of every word size read the same number.

use crate::args::AssistArgs;
use crate::error::Error;
use crate::windows::{early_load, process::Process, remote_load};
use allograft_image::Machine;
use std::ffi::c_void;
use std::os::windows::io::{AsHandle, FromRawHandle, OwnedHandle};

/// Loads the module, or has it loaded when the process begins. Returns the exit code, see
/// [`remote_load::Ending`].
///
/// # Errors
///
/// If the process refuses what that takes, or is of another machine.
pub fn run(args: &AssistArgs) -> Result<u32, Error> {
    let process = Process::handed_down(handle(args.process));
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
    let Some(thread) = args.thread.map(handle) else {
        return Ok(remote_load::load_directly(&process, &args.module, args.timeout)?.exit_code());
    };
    let event = args.event.map(pointer);
    // The path stays in the process: nobody here waits until it has been read.
    early_load::queue_load(&process, thread.as_handle(), &args.module, event)?;
    Ok(remote_load::Ending::Returned.exit_code())
}

fn handle(number: u32) -> OwnedHandle {
    // SAFETY: the handle was made for this process by the one that started it, and nobody else here
    // has it. A number that is none is refused by the system whenever it is used.
    unsafe { OwnedHandle::from_raw_handle(pointer(number)) }
}

/// The handle with this number: handles are extended by their sign.
fn pointer(number: u32) -> *mut c_void {
    number.cast_signed() as isize as *mut c_void
}
