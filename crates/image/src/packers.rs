//! Recognises programs that were compressed or encrypted after linking by the names of their
//! sections.

use crate::{Headers, Section};

/// Packers, with the names of the sections that they leave (see [`is_marked`]).
const PACKERS: [(&str, &[&str]); 14] = [
    ("UPX", &["UPX*", ".UPX*"]),
    ("ASPack", &[".aspack", ".adata", "ASPack", ".ASPack"]),
    ("MPRESS", &[".MPRESS*"]),
    ("Petite", &[".petite", "petite"]),
    ("NsPack", &[".nsp*", "nsp*"]),
    ("PECompact", &["PEC2*", "PECompac", "pec*"]),
    ("VMProtect", &[".vmp*"]),
    ("Themida", &[".themida", "Themida"]),
    ("WinLicense", &[".winlice", "WinLicen"]),
    ("Enigma Protector", &[".enigma*"]),
    ("Boomerang", &[".boom"]),
    ("FSG", &["FSG!"]),
    ("MEW", &["MEW"]),
    ("Y0da Protector", &[".yP"]),
];

/// The packer that an image went through, judging by its section names.
pub fn packer_of(headers: &Headers) -> Option<&'static str> {
    let mut names = headers.sections.iter().map(Section::name);
    let found = names.find_map(|name| PACKERS.iter().find(|(_, marks)| is_marked(&name, marks)));
    found.map(|&(packer, _)| packer)
}

/// Whether `name` is one of `marks`, in which one `*` matches any text.
pub(crate) fn is_marked(name: &str, marks: &[&str]) -> bool {
    marks.iter().any(|mark| match mark.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => name == *mark,
    })
}
