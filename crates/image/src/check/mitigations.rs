//! Properties of an image that matter to patching it or to loading a module into it.

use crate::{Image, ImportedFunction, Result};
use object::LittleEndian as LE;
use object::pe;
use serde::Serialize;

/// One such property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Mitigation {
    /// Its name, for programs.
    pub code: &'static str,
    /// Whether it rules out patching the image.
    pub forbids_patching: bool,
    /// What it means for allograft.
    pub meaning: &'static str,
}

const GUARD_CF: Mitigation = Mitigation {
    code: "guard-cf",
    forbids_patching: false,
    meaning: "control flow guard is on, which is no obstacle: redirected functions keep their addresses",
};
const SHADOW_STACK: Mitigation = Mitigation {
    code: "shadow-stack",
    forbids_patching: false,
    meaning: "hardware shadow stacks are supported, which is no obstacle: no return address is ever changed",
};
const SHADOW_STACK_STRICT: Mitigation = Mitigation {
    code: "shadow-stack-strict",
    forbids_patching: false,
    meaning: "shadow stacks are demanded strictly: Windows may refuse modules that are not marked for them",
};
const FORCE_INTEGRITY: Mitigation = Mitigation {
    code: "force-integrity",
    forbids_patching: true,
    meaning: "Windows loads it with a valid signature only: patching has to clear that flag along with the signature",
};
const APP_CONTAINER: Mitigation = Mitigation {
    code: "app-container",
    forbids_patching: false,
    meaning: "it runs in an app container: the module must be readable by ALL APPLICATION PACKAGES",
};
const SETS_POLICY: Mitigation = Mitigation {
    code: "sets-mitigation-policy",
    forbids_patching: false,
    meaning: "it can set policies for itself while it runs (signed modules only, no dynamic code): load the module at the start, \
              before it does",
};
const ADMINISTRATOR: Mitigation = Mitigation {
    code: "requires-administrator",
    forbids_patching: false,
    meaning: "its manifest asks for administrator rights: start allograft with them, too",
};
const UI_ACCESS: Mitigation = Mitigation {
    code: "ui-access",
    forbids_patching: true,
    meaning: "its manifest asks for access to other programs' windows, which Windows grants to signed programs only",
};

/// What can be seen of them in `image`.
pub(super) fn of(image: &Image<'_>) -> Result<Vec<Mitigation>> {
    let flags = image.headers().dll_characteristics;
    let has = |flag: pe::DllFlags| flags & flag.0 != 0;
    let extended = extended_flags(image);
    let manifest = image.manifest().unwrap_or_default();
    let seen = [
        (has(pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF), GUARD_CF),
        (extended & CET_COMPAT != 0, SHADOW_STACK),
        (extended & CET_COMPAT_STRICT != 0, SHADOW_STACK_STRICT),
        (has(pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY), FORCE_INTEGRITY),
        (has(pe::IMAGE_DLLCHARACTERISTICS_APPCONTAINER), APP_CONTAINER),
        (imports_function(image, b"SetProcessMitigationPolicy")?, SETS_POLICY),
        (manifest.contains("requireAdministrator"), ADMINISTRATOR),
        (manifest.contains("uiAccess=\"true\"") || manifest.contains("uiAccess='true'"), UI_ACCESS),
    ];
    Ok(seen.into_iter().filter_map(|(applies, mitigation)| applies.then_some(mitigation)).collect())
}

// Bits of the extended characteristics, which stand in a debug directory entry of a type of their
// own.
const CET_COMPAT: u32 = 1;
const CET_COMPAT_STRICT: u32 = 2;

fn extended_flags(image: &Image<'_>) -> u32 {
    image
        .debug_entries()
        .find(|entry| entry.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS)
        .and_then(|entry| image.record_at::<object::U32<LE>>(entry.address_of_raw_data.get(LE)))
        .map_or(0, |flags| flags.get(LE))
}

fn imports_function(image: &Image<'_>, name: &[u8]) -> Result<bool> {
    for module in image.imports()? {
        if image.functions(&module)?.contains(&ImportedFunction::Name(name)) {
            return Ok(true);
        }
    }
    Ok(false)
}
