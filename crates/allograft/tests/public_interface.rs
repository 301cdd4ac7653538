//! The public interface of the crate, as `tests/public_interface.txt` lists it. A change of the
//! list is one that users see: it belongs into CHANGELOG.md, and may ask for another version.

use std::fs;
use std::path::Path;

/// The files with public items.
const SOURCES: [&str; 2] = ["src/lib.rs", "src/outcome.rs"];

/// The declarations of public items, of what their types implement, and of variants, one on a line,
/// without bodies and comments.
fn interface() -> String {
    let mut found = Vec::new();
    for source in SOURCES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
        let text = text.expect("the sources are there");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        found.extend(declarations(code));
    }
    found.sort();
    found.join("\n") + "\n"
}

fn declarations(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut attributes = String::new();
    // The public enum or struct whose body the lines are in.
    let mut owner: Option<(bool, String)> = None;
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim();
        if line == "}" {
            owner = None;
        }
        if text.starts_with("#[derive") || text == "#[non_exhaustive]" {
            attributes.push_str(text);
            attributes.push(' ');
            continue;
        }
        let is_variant = owner.as_ref().is_some_and(|(is_enum, _)| *is_enum)
            && text.starts_with(|first: char| first.is_ascii_uppercase());
        let is_item = text.starts_with("pub ") || line.starts_with("impl ");
        if !is_item && !is_variant {
            if !text.starts_with("//") && !text.starts_with("#[") {
                attributes.clear();
            }
            continue;
        }
        let mut declaration = text.to_owned();
        // Parameters of a function may have lines of their own.
        let is_function = text.starts_with("pub fn ");
        while !declaration.ends_with(['{', ';', '}'])
            && (is_function || !declaration.ends_with(','))
        {
            let Some(next) = lines.next() else { break };
            declaration = format!("{declaration} {}", next.trim());
        }
        let opens = declaration.ends_with('{');
        let declaration = declaration.trim_end_matches("{}").trim_end_matches(['{', ';', ',', ' ']);
        let place = owner.as_ref().map_or(String::new(), |(_, name)| format!("{name}: "));
        found.push(format!("{place}{attributes}{declaration}"));
        attributes.clear();
        let kind = ["pub enum ", "pub struct "].map(|kind| declaration.starts_with(kind));
        if opens && kind != [false; 2] {
            owner = declaration.split(' ').nth(2).map(|name| (kind[0], name.to_owned()));
        }
    }
    found
}

#[test]
fn the_public_interface_is_the_one_that_is_listed() {
    let listed = include_str!("public_interface.txt").replace("\r\n", "\n");
    let actual = interface();
    assert_eq!(
        actual, listed,
        "write this to crates/allograft/tests/public_interface.txt:\n{actual}"
    );
}

#[test]
fn every_kind_of_change_shows() {
    let code = "/// A type.\n#[derive(Clone)]\npub struct A {\n    /// A field.\n    pub b: u32,\n    c: u8,\n}\n\
                pub enum D {\n    /// One.\n    E(String),\n    F,\n}\n\
                pub fn g(\n    h: u8,\n) -> u8 {\n    h\n}\nimpl Clone for D {\n    fn clone(&self) {}\n}\nfn i() {}\n";
    let expected = [
        "#[derive(Clone)] pub struct A",
        "A: pub b: u32",
        "pub enum D",
        "D: E(String)",
        "D: F",
        "pub fn g( h: u8, ) -> u8",
        "impl Clone for D",
    ];
    assert_eq!(declarations(code), expected);
}

#[test]
fn the_allocator_is_one_that_rust_takes() {
    fn takes(_: impl std::alloc::GlobalAlloc + Send + Sync + 'static) {}
    takes(allograft::Mimalloc);
}
