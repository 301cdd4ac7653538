//! The exports of the system DLLs that proxies most often stand in for.

use crate::Export;

/// See the file's own first lines for its form and its sources.
const TABLE: &str = include_str!("known.txt");

/// The names of the system DLLs whose exports are known, in lower case.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter_map(heading)
}

/// What the system DLL called `name` exports, if it is one of [`known_names`]; letters are compared
/// without case.
pub fn known_exports(name: &str) -> Option<Vec<Export>> {
    let mut lines = TABLE.lines();
    lines.find(|line| heading(line).is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
    Some(lines.take_while(|line| heading(line).is_none()).filter_map(parse).collect())
}

fn heading(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

fn parse(line: &str) -> Option<Export> {
    let mut words = line.split_whitespace();
    Some(Export {
        ordinal: words.next()?.parse().ok()?,
        name: words.next().map(str::to_owned),
        is_code: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_of_the_table_is_a_heading_or_an_export() {
        for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(heading(line).is_some() || parse(line).is_some(), "{line}");
        }
    }

    #[test]
    fn no_ordinal_and_no_name_stands_twice_in_one_dll() {
        for dll in known_names() {
            let exports = known_exports(dll).unwrap();
            let ordinals: HashSet<u16> = exports.iter().map(|export| export.ordinal).collect();
            let names: HashSet<&str> = exports.iter().filter_map(|e| e.name.as_deref()).collect();
            let named = exports.iter().filter(|export| export.name.is_some()).count();
            assert_eq!((ordinals.len(), names.len()), (exports.len(), named), "{dll}");
        }
    }

    #[test]
    fn the_dlls_that_games_load_are_known() {
        let known: Vec<_> = known_names().collect();
        assert_eq!(
            known,
            ["version.dll", "winmm.dll", "winhttp.dll", "dinput8.dll", "dxgi.dll", "d3d11.dll"]
        );
        assert!(known_exports("Version.DLL").unwrap().len() >= 17);
        assert!(known_exports("kernel32.dll").is_none());
        let nameless = known_exports("winmm.dll").unwrap();
        assert_eq!((nameless[0].ordinal, &nameless[0].name), (2, &None));
    }
}
