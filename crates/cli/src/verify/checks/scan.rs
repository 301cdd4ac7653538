//! The static scan of every C runtime that is installed: the module makes the same scan before it
//! takes one over.

use crate::verify::check::{Context, Finding, Outcome, Shortfall};
use crate::verify::runtimes::{installed, name_and_version};
use allograft_image::{Image, ImageFile, RuntimeReferences};
use std::path::Path;

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let files = installed(context.system, context.machine);
    if files.is_empty() {
        let why = format!("no C runtime lies in {}", context.system.display());
        return vec![Finding::new("", Err(Outcome::not_tried(why)))];
    }
    let judge = |path: &Path| Finding::new(name_and_version(path), scan(path).and_then(judge));
    files.iter().map(|path| judge(path)).collect()
}

fn scan(path: &Path) -> Result<RuntimeReferences, Shortfall> {
    let read = || RuntimeReferences::read(&Image::parse(ImageFile::open(path)?.data())?);
    read()
        .map_err(|error| Outcome::failed(format!("{} cannot be scanned: {error}", path.display())))
}

/// Whether each of the references lies inside functions that are replaced.
fn judge(found: RuntimeReferences) -> Result<String, Shortfall> {
    let RuntimeReferences { is_wine, replaced, references, outside } = &found;
    if *is_wine {
        return Err(Outcome::not_tried(
            "Wine's own: it gives the system's heap only what it has from there",
        ));
    }
    if let Some(first) = outside.first() {
        return Err(Outcome::failed(format!(
            "{} of {references} references lie outside of what is replaced, the first, of {}, at {:#x}: allograft leaves this runtime alone where that matters",
            outside.len(),
            first.function,
            first.offset
        )));
    }
    if !found.is_proof() {
        return Err(Outcome::failed(
            "no reference was found: it reaches the heap in an unknown way, and allograft leaves it alone where that matters",
        ));
    }
    Ok(format!("{references} references, all inside the {replaced} functions that are replaced"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_image::OutsideReference;

    #[test]
    fn a_reference_outside_and_a_runtime_without_references_fail() {
        let proof =
            || RuntimeReferences { is_wine: false, replaced: 40, references: 5, outside: vec![] };
        let seen = judge(proof()).unwrap();
        assert_eq!(seen, "5 references, all inside the 40 functions that are replaced");

        let function = "HeapFree".to_owned();
        let outside = vec![OutsideReference { function, offset: 0x1234 }];
        let failure = judge(RuntimeReferences { outside, ..proof() }).unwrap_err();
        let words =
            "1 of 5 references lie outside of what is replaced, the first, of HeapFree, at 0x1234";
        assert!(failure.is_failure() && failure.text().starts_with(words), "{failure:?}");
        let none = judge(RuntimeReferences { references: 0, ..proof() }).unwrap_err();
        assert!(none.is_failure() && none.text().starts_with("no reference was found"), "{none:?}");
        let wine = judge(RuntimeReferences { is_wine: true, ..proof() }).unwrap_err();
        assert_eq!(wine.word(), "not tried");
    }

    #[test]
    fn a_file_that_is_no_runtime_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ucrtbase.dll");
        std::fs::write(&path, "MZ").unwrap();
        let failure = scan(&path).unwrap_err();
        assert!(
            failure.is_failure() && failure.text().contains("cannot be scanned"),
            "{failure:?}"
        );
    }
}
