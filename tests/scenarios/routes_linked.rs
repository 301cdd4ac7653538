//! `mimalloc.dll`: programs that link with it, and what it exports.

use std::collections::BTreeSet;

use allograft_tests::{Mode, Stage};
use object::{File, Object};

#[test]
fn a_program_that_links_with_mimalloc_has_its_heap_taken_over() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        for program in ["linked", "linked_new"] {
            let run = stage.program(program).on(crt).run();
            run.expect_code(0).expect_transcript("passed\n");
        }
    }
}

#[test]
fn a_disabled_takeover_leaves_mimallocs_own_functions_at_work() {
    let run =
        Stage::load().program("linked").arg("disabled").env("MIMALLOC_DISABLE_REDIRECT", "1").run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn a_linked_program_can_be_run_by_the_launcher_and_is_taken_over_once() {
    // mimalloc.dll comes first, as the program imports it; the launcher's module finds that and
    // does nothing.
    let run = Stage::load().program("linked").mode(Mode::Early).run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn mimalloc_dll_exports_every_function_that_its_headers_declare() {
    // These four are declared by mimalloc 3.3.2 and defined nowhere in it.
    const UNDEFINED: [&str; 4] =
        ["mi_collect_reduce", "mi_stats_merge", "mi_theap_set_default", "mi_uzalloc_small"];
    let mut declared = BTreeSet::new();
    for header in ["mimalloc.h", "mimalloc-stats.h"] {
        let header = Stage::load().developer_files().join("include").join(header);
        let text = std::fs::read_to_string(header).unwrap();
        declared.extend(exported_by(&text));
    }
    assert!(declared.len() > 150, "only {} were found", declared.len());
    let bytes = std::fs::read(Stage::load().programs.join("mimalloc.dll")).unwrap();
    let file = File::parse(&*bytes).unwrap();
    let exports = file.exports().unwrap().map(Result::unwrap);
    let exported: BTreeSet<String> = exports
        .filter_map(|export| match export.name() {
            object::NameOrOrdinal::Name(name) => String::from_utf8(name.to_vec()).ok(),
            object::NameOrOrdinal::Ordinal(_) => None,
        })
        .collect();
    let missing: Vec<&str> =
        declared.iter().filter(|name| !exported.contains(*name)).map(String::as_str).collect();
    assert_eq!(missing, UNDEFINED);
}

/// The functions that a header declares as exported.
fn exported_by(header: &str) -> Vec<String> {
    let lines = header.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.split(';')
        .filter_map(|statement| statement.split_once("mi_decl_export "))
        .filter_map(|(_, declaration)| called(declaration))
        .collect()
}

/// The first function of mimalloc's in `declaration`, which its parameters follow; attributes have
/// parameters too.
fn called(declaration: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    declaration.split('(').find_map(|before| {
        let name = before.rsplit(|c| !is_part(c)).next()?;
        let is_function = name.starts_with("mi_")
            && !name.starts_with("mi_attr_")
            && !name.starts_with("mi_decl_");
        is_function.then(|| name.to_owned())
    })
}
