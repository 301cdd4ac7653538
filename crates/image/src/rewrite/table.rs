//! The new import table, and all that it points to, as one piece of memory.

use crate::imports::DESCRIPTOR_LEN;
use crate::{Error, Image, Result};
use object::LittleEndian as LE;
use object::pe;
use object::pod;

/// The function of our module that a patched image imports: without one, the loader would have
/// nothing to look up and might leave the module out.
pub const IMPORTED_FUNCTION: &str = "allograft_version";

/// Where the parts of the table lie, from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parts {
    lookup: u32,
    addresses: u32,
    function: u32,
    module: u32,
    end: u32,
}

/// The import table of an image with one module put first.
pub(crate) struct ImportTable {
    descriptors: Vec<pe::ImageImportDescriptor>,
    module: String,
    is_64: bool,
    parts: Parts,
}

impl ImportTable {
    /// The table of `image`, with `module` in front of it.
    pub fn with_module_first(image: &Image<'_>, module: &str) -> Result<ImportTable> {
        let mut descriptors = image.import_descriptors()?;
        for descriptor in &mut descriptors {
            unbind(descriptor)?;
        }
        let thunks = image.thunk_len();
        // Ours and the one that ends the table.
        let table = (descriptors.len() as u32 + 2) * DESCRIPTOR_LEN;
        let lookup = table.next_multiple_of(8);
        let addresses = lookup + 2 * thunks;
        let function = addresses + 2 * thunks;
        // A hint of two bytes goes before the name, a NUL after it.
        let module_at = (function + 2 + IMPORTED_FUNCTION.len() as u32 + 1).next_multiple_of(2);
        let parts = Parts {
            lookup,
            addresses,
            function,
            module: module_at,
            end: module_at + module.len() as u32 + 1,
        };
        Ok(ImportTable {
            descriptors,
            module: module.to_owned(),
            is_64: image.headers().is_64,
            parts,
        })
    }

    /// Bytes of the table proper, as the data directory states them.
    pub fn directory_size(&self) -> u32 {
        (self.descriptors.len() as u32 + 2) * DESCRIPTOR_LEN
    }

    /// Bytes of the table and of all that it points to.
    pub fn len(&self) -> u32 {
        self.parts.end
    }

    /// The bytes, for the address `base`.
    pub fn to_bytes(&self, base: u32) -> Vec<u8> {
        let Parts { lookup, addresses, function, module, end } = self.parts;
        let mut bytes = Vec::with_capacity(end as usize);
        let ours = [base + lookup, 0, 0, base + module, base + addresses];
        bytes.extend(ours.iter().flat_map(|field| field.to_le_bytes()));
        bytes.extend_from_slice(pod::bytes_of_slice(&self.descriptors));
        bytes.resize(end as usize, 0);
        for thunks in [lookup, addresses] {
            self.put_thunk(&mut bytes, thunks as usize, base + function);
        }
        put(&mut bytes, function as usize + 2, IMPORTED_FUNCTION.as_bytes());
        put(&mut bytes, module as usize, self.module.as_bytes());
        bytes
    }

    fn put_thunk(&self, bytes: &mut [u8], at: usize, address: u32) {
        if self.is_64 {
            put(bytes, at, &u64::from(address).to_le_bytes());
        } else {
            put(bytes, at, &address.to_le_bytes());
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Makes the loader look the functions up again instead of trusting the addresses that were bound
/// in advance.
fn unbind(descriptor: &mut pe::ImageImportDescriptor) -> Result<()> {
    if descriptor.time_date_stamp.get(LE) == 0 {
        return Ok(());
    }
    if descriptor.original_first_thunk.get(LE) == 0 {
        return Err(Error::contradictory(
            "bound imports have lost the names that they were bound from",
        ));
    }
    descriptor.time_date_stamp.set(LE, 0);
    descriptor.forwarder_chain.set(LE, 0);
    Ok(())
}
