//! Recognises programs that were compressed or encrypted after linking by the names of their
//! sections.

use crate::Headers;

/// Section names and the packers that leave them. `*` at the end matches any text.
const MARKS: [(&str, &str); 24] = [
    ("UPX*", "UPX"),
    (".UPX*", "UPX"),
    (".aspack", "ASPack"),
    (".adata", "ASPack"),
    ("ASPack", "ASPack"),
    (".ASPack", "ASPack"),
    (".MPRESS*", "MPRESS"),
    (".petite", "Petite"),
    ("petite", "Petite"),
    (".nsp*", "NsPack"),
    ("nsp*", "NsPack"),
    ("PEC2*", "PECompact"),
    ("PECompac", "PECompact"),
    ("pec*", "PECompact"),
    (".vmp*", "VMProtect"),
    (".themida", "Themida"),
    ("Themida", "Themida"),
    (".winlice", "WinLicense"),
    ("WinLicen", "WinLicense"),
    (".enigma*", "Enigma Protector"),
    (".boom", "Boomerang"),
    ("FSG!", "FSG"),
    ("MEW", "MEW"),
    (".yP", "Y0da Protector"),
];

/// The packer that an image went through, judging by its section names.
pub fn packer_of(headers: &Headers) -> Option<&'static str> {
    headers.sections.iter().find_map(|section| {
        let name = section.name();
        MARKS.iter().find(|(mark, _)| matches(mark, &name)).map(|&(_, packer)| packer)
    })
}

fn matches(mark: &str, name: &str) -> bool {
    match mark.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == mark,
    }
}
