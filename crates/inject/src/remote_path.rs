//! The module's path in the memory of the process that is to load it.

use crate::error::{At, Error, Step};
use crate::system::{Handle, System};

/// Memory of another process that holds a NUL-terminated path. Dropping this leaves it there: the
/// code that reads the path may run after this program's end.
#[derive(Debug)]
pub struct RemotePath {
    address: usize,
}

impl RemotePath {
    /// Writes `path`, which is NUL-terminated, into `process`.
    pub(crate) fn write(
        system: &impl System,
        process: Handle,
        path: &[u16],
    ) -> Result<RemotePath, Error> {
        let address = system.allocate(process, size_of_val(path)).at(Step::Allocate)?;
        let remote = RemotePath { address };
        match system.write(process, address, path) {
            Ok(()) => Ok(remote),
            Err(error) => {
                remote.free(system, process);
                Err(Error::Refused(Step::WritePath, error))
            }
        }
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// Frees the memory. `process` is the one that the path was written to; nothing in it may still
    /// need the path.
    pub(crate) fn free(self, system: &impl System, process: Handle) {
        system.free(process, self.address);
    }
}
