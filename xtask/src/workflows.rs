//! Checks the files that the project's host reads, which nothing here runs: each against its
//! schema. The schemas are those that the package `check-jsonschema` carries.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::files::{files_under, read};
use crate::layout;
use crate::setup::workflow_schemas;

/// The files, as folders below `.github`, and their schemas.
const CHECKED: [(&str, &str); 2] =
    [("workflows", "github-workflows"), ("ISSUE_TEMPLATE", "github-issue-forms")];

/// Describes the list of forms, and is no form itself.
const NO_FORM: &str = "config.yml";

/// Fails with what is wrong in any of the files.
pub fn check() -> Result<()> {
    let schemas = workflow_schemas()?;
    let mut errors = Vec::new();
    for (folder, name) in CHECKED {
        let schema = serde_json::from_str(&read(&schemas.join(format!("{name}.json")))?)?;
        for file in files_under(&layout::root().join(".github").join(folder))? {
            if !file.ends_with(NO_FORM) {
                errors.extend(errors_in(&file, &schema)?);
            }
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(())
}

fn errors_in(file: &Path, schema: &Value) -> Result<Vec<String>> {
    let shown = file.strip_prefix(layout::root()).unwrap_or(file).display();
    let contents: Value =
        serde_norway::from_str(&read(file)?).with_context(|| format!("reading {shown}"))?;
    let schema = jsonschema::validator_for(schema).context("reading the schema")?;
    let line = |error: jsonschema::ValidationError<'_>| {
        format!("{shown}: {error} (at {})", error.instance_path())
    };
    Ok(schema.iter_errors(&contents).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_error_names_the_file_and_the_place() {
        let schema = serde_json::json!({
            "properties": { "jobs": { "additionalProperties": { "required": ["runs-on"] } } }
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ci.yml");
        fs::write(&file, "jobs:\n  one:\n    runs-on: here\n").unwrap();
        assert!(errors_in(&file, &schema).unwrap().is_empty());
        fs::write(&file, "jobs:\n  two: {}\n").unwrap();
        let errors = errors_in(&file, &schema).unwrap();
        assert!(errors.len() == 1 && errors[0].contains("ci.yml"), "{errors:?}");
        assert!(errors[0].contains("\"runs-on\"") && errors[0].contains("/jobs/two"), "{errors:?}");
    }
}
