use super::*;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The manifests of a release whose zip is a file with the text "abc".
fn manifests() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join(format!("allograft-{}-windows.zip", layout::VERSION));
    fs::write(&zip, "abc").unwrap();
    let time = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    write(&zip, time, folder.path()).unwrap();
    folder
}

/// A manifest in JSON or YAML.
fn parsed(path: &Path) -> Value {
    let text = read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "yaml") {
        serde_norway::from_str(&text).unwrap()
    } else {
        serde_json::from_str(&text).unwrap()
    }
}

fn schema(name: &str) -> jsonschema::Validator {
    let schema = parsed(&layout::own("packaging/schemas").join(name));
    jsonschema::draft7::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The manifests that have a schema, with it.
const CHECKED: [(&str, &str); 5] = [
    ("winget/Allograft.Allograft.yaml", "winget.version.json"),
    ("winget/Allograft.Allograft.installer.yaml", "winget.installer.json"),
    ("winget/Allograft.Allograft.locale.en-US.yaml", "winget.locale.json"),
    ("scoop/allograft.json", "scoop.json"),
    ("vcpkg/allograft/vcpkg.json", "vcpkg.json"),
];

#[test]
fn every_manifest_is_as_its_schema_demands() {
    let folder = manifests();
    for (manifest, schema_name) in CHECKED {
        let manifest = parsed(&folder.path().join(manifest));
        let schema = schema(schema_name);
        let errors: Vec<String> =
            schema.iter_errors(&manifest).map(|one| one.to_string()).collect();
        assert!(errors.is_empty(), "{schema_name}: {errors:#?}");
        // And a schema finds what is missing or not known.
        let mut without = manifest.clone();
        let version = if schema_name.starts_with("winget") { "PackageVersion" } else { "version" };
        without.as_object_mut().unwrap().remove(version).unwrap();
        let mut with_more = manifest;
        with_more["Colour"] = "green".into();
        assert!(!schema.is_valid(&without) && !schema.is_valid(&with_more), "{schema_name}");
    }
}

#[test]
fn manifests_name_the_zip_and_its_hash() {
    let folder = manifests();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let url = format!("{HOME}/releases/v{0}/allograft-{0}-windows.zip", layout::VERSION);
    let installer = parsed(&folder.path().join(CHECKED[1].0));
    for one in installer["Installers"].as_array().unwrap() {
        assert_eq!(
            (&one["InstallerUrl"], &one["InstallerSha256"]),
            (&url.as_str().into(), &sha256.into())
        );
    }
    assert_eq!(installer["ReleaseDate"], "2023-11-14");
    let scoop = parsed(&folder.path().join(CHECKED[3].0));
    assert_eq!((&scoop["url"], &scoop["hash"]), (&url.as_str().into(), &sha256.into()));
    // What Scoop makes of the next version is what a release is called.
    let update = scoop["autoupdate"]["url"].as_str().unwrap();
    assert_eq!(update.replace("$version", layout::VERSION), url);
    let port = read(&folder.path().join("vcpkg/allograft/portfile.cmake")).unwrap();
    let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
        2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert!(port.contains(&format!("URLS \"{url}\"")) && port.contains(sha512), "{port}");
    let recipe = read(&folder.path().join("conan/conanfile.py")).unwrap();
    assert!(recipe.contains(&format!("get(self, \"{url}\", sha256=\"{sha256}\"")), "{recipe}");
}

#[test]
fn a_word_that_is_not_filled_in_is_found() {
    assert_eq!(word_left_in("a @URL@ b"), Some("URL"));
    assert_eq!(word_left_in("x\"@HOME@/LICENSE\""), Some("HOME"));
    assert_eq!(word_left_in("someone@example.org and @this"), None);
}

/// Python reads the recipe, and finds a class of the release's version in it.
#[test]
fn the_recipe_for_conan_is_python() {
    let folder = manifests();
    let read_it = "import ast, sys
body = ast.parse(open(sys.argv[1]).read()).body
recipe = next(one for one in body if isinstance(one, ast.ClassDef))
print(next(one.value.value for one in recipe.body
           if isinstance(one, ast.Assign) and one.targets[0].id == 'version'))";
    let python: PathBuf = if cfg!(windows) { "python".into() } else { "python3".into() };
    let output = Command::new(python)
        .args(["-c", read_it])
        .arg(folder.path().join("conan/conanfile.py"))
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), layout::VERSION);
}
