//! The module's path in the memory of the process that is to load it.

use crate::error::{At, Error, Step};
use crate::system::{Handle, System, SystemResult};

/// Memory of another process that holds a NUL-terminated path. Dropping this leaves it there: the
/// code that reads the path may run after this program's end.
#[derive(Debug)]
pub(crate) struct RemotePath {
    address: usize,
}

impl RemotePath {
    /// Writes `path`, which is NUL-terminated, into `process`, and has `start` start what reads it
    /// there, at the address that it gets. Where that step fails, the memory is freed again.
    pub(crate) fn write<T>(
        system: &impl System,
        process: Handle,
        path: &[u16],
        step: Step,
        start: impl FnOnce(usize) -> SystemResult<T>,
    ) -> Result<(RemotePath, T), Error> {
        let address = system.allocate(process, size_of_val(path)).at(Step::Allocate)?;
        let written = system.write(process, address, path).at(Step::WritePath);
        match written.and_then(|()| start(address).at(step)) {
            Ok(started) => Ok((RemotePath { address }, started)),
            Err(error) => {
                system.free(process, address);
                Err(error)
            }
        }
    }

    /// Frees the memory. `process` is the one that the path was written to; nothing in it may still
    /// need the path.
    pub(crate) fn free(self, system: &impl System, process: Handle) {
        system.free(process, self.address);
    }
}
