//! What `cargo xtask dist` makes, unpacked from its zip as a user has it: the files' hashes and
//! resources, the bill of materials, the commands, and the port for vcpkg.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use allograft_image::{FileVersion, Image, ImportedFunction};
use allograft_tests::{Launch, Stage, inputs};
use object::pe::{RT_GROUP_ICON, RT_ICON, RT_MANIFEST, RT_VERSION};
use object::read::pe::{ImageNtHeaders, PeFile, PeFile32, PeFile64};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipArchive;

/// The number by which the loader finds the manifest of a program.
const OF_PROGRAM: u16 = 1;

/// The number of a manifest that the loader does not evaluate.
const NOT_EVALUATED: u16 = 3;

/// The zip in the folder that `dist` made.
fn zip() -> PathBuf {
    let made = Stage::load().dist();
    let entries = fs::read_dir(&made).unwrap_or_else(|error| panic!("{}: {error}", made.display()));
    let mut zips = entries.map(|entry| entry.unwrap().path());
    zips.find(|path| path.extension().is_some_and(|one| one == "zip")).expect("a zip")
}

/// The folder that is in the zip.
fn unpacked() -> &'static Path {
    static UNPACKED: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, folder) = UNPACKED.get_or_init(|| {
        let scratch = tempfile::tempdir().unwrap();
        ZipArchive::new(File::open(zip()).unwrap()).unwrap().extract(scratch.path()).unwrap();
        let folder = scratch.path().join(zip().file_stem().unwrap());
        assert!(folder.is_dir(), "everything in the zip is in a folder of its name");
        (scratch, folder)
    });
    folder
}

/// All files below `folder`, by their names with slashes.
fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let inner = files_in(&path).into_iter();
            files.extend(inner.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

/// The programs and DLLs, by their names.
fn code() -> BTreeMap<String, Vec<u8>> {
    let mut files = files_in(unpacked());
    files.retain(|name, _| name.ends_with(".exe") || name.ends_with(".dll"));
    files
}

/// Those that users run and link, without the test programs of `allograft verify`.
fn own_code() -> BTreeMap<String, Vec<u8>> {
    let mut files = code();
    files.retain(|name, _| !name.starts_with("verify/"));
    files
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_file_has_the_hash_that_the_sums_state() {
    let mut files = files_in(unpacked());
    let sums = String::from_utf8(files.remove("SHA256SUMS").unwrap()).unwrap();
    let stated: BTreeMap<&str, &str> =
        sums.lines().map(|line| line.split_once("  ").unwrap()).map(|(a, b)| (b, a)).collect();
    let hashes: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| (name.as_str(), sha256(bytes))).collect();
    let found: BTreeMap<&str, &str> =
        hashes.iter().map(|(name, hash)| (*name, hash.as_str())).collect();
    assert_eq!(stated, found);
    let beside = fs::read_to_string(zip().with_file_name("SHA256SUMS")).unwrap();
    let name = zip().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(beside, format!("{}  {name}\n", sha256(&fs::read(zip()).unwrap())));
}

#[test]
fn the_files_for_every_machine_are_there_with_their_documents() {
    let files = files_in(unpacked());
    let mut expected = vec!["allograft.exe", "allograft.dll", "allograft-avx2.dll", "mimalloc.dll"];
    expected.extend(["docs/index.html", "docs/docs/guide.html", "docs/docs/limits.html"]);
    expected.extend(["docs/docs/verify.html", "verify/x86-64/early.exe"]);
    expected.extend(["LICENSE", "licences/mimalloc/LICENSE", "include/mimalloc.h"]);
    expected.extend([
        "allograft-check.dll",
        "mimalloc-redirect.dll",
        "include/allograft.h",
        "lib/mimalloc.dll.lib",
    ]);
    if Stage::load().x86.is_some() {
        expected.extend(["allograft32.exe", "allograft32.dll", "allograft32-sse42.dll"]);
        expected.push("allograft32-check.dll");
        expected.extend([
            "x86/mimalloc.dll",
            "x86/mimalloc-redirect32.dll",
            "verify/x86/early.exe",
        ]);
    }
    for name in expected {
        assert!(files.contains_key(name), "{name} is not in {:?}", files.keys());
    }
}

/// The newest Windows that a file may need: the launchers need what Rust's standard library does,
/// the DLLs are loaded by programs for older ones as well.
fn newest_needed(name: &str) -> u32 {
    if name.ends_with(".exe") { 10 } else { 7 }
}

/// The first Windows that has each import of the list, by `DLL function`.
fn first_windows() -> BTreeMap<String, u32> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs/imports.txt");
    let list = fs::read_to_string(list).unwrap();
    let mut windows = None;
    let mut first = BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("Windows ") {
            Some(number) => windows = Some(number.parse().unwrap()),
            None => {
                first.insert(line.to_owned(), windows.expect("a version before the first import"));
            }
        }
    }
    first
}

/// What the image imports that is not in the list, or only in a Windows after `newest`.
fn too_new(image: &[u8], first: &BTreeMap<String, u32>, newest: u32) -> Vec<String> {
    let image = Image::parse(image).unwrap();
    let mut found = Vec::new();
    for module in image.imports().unwrap() {
        for function in image.functions(&module).unwrap() {
            let function = match function {
                ImportedFunction::Name(name) => String::from_utf8_lossy(name).into_owned(),
                ImportedFunction::Ordinal(number) => format!("#{number}"),
            };
            let import = format!("{} {function}", module.name.to_lowercase());
            match first.get(&import) {
                Some(windows) if *windows <= newest => {}
                Some(windows) => found.push(format!("{import} (Windows {windows})")),
                None => found.push(format!("{import} (not in tests/inputs/imports.txt)")),
            }
        }
    }
    found
}

#[test]
fn nothing_is_imported_that_the_oldest_windows_lacks() {
    let first = first_windows();
    // Those that users build programs on; not programs that `verify` runs.
    let own = code().into_iter().filter(|(name, _)| !name.starts_with("verify/"));
    for (name, bytes) in own {
        let newest = newest_needed(&name);
        let found = too_new(&bytes, &first, newest);
        assert!(
            found.is_empty(),
            "{name} imports what Windows {newest} may not have: {found:?}; look it up at run time, \
             or add it to the list with the first Windows that has it"
        );
    }
}

#[test]
fn an_import_that_is_not_listed_or_too_new_is_found() {
    let launcher = &code()["allograft.exe"];
    let mut first = first_windows();
    assert!(too_new(launcher, &first, 10).is_empty());
    assert_eq!(too_new(launcher, &first, 8), ["bcryptprimitives.dll ProcessPrng (Windows 10)"]);
    first.remove("kernel32.dll CreateProcessW").unwrap();
    let found = too_new(launcher, &first, 10);
    assert_eq!(found, ["kernel32.dll CreateProcessW (not in tests/inputs/imports.txt)"]);
}

/// The numbers of the resources of each kind.
fn resources(bytes: &[u8]) -> BTreeMap<u16, Vec<u16>> {
    fn of<Pe: ImageNtHeaders>(file: &PeFile<'_, Pe>, bytes: &[u8]) -> BTreeMap<u16, Vec<u16>> {
        let sections = file.section_table();
        let directory = file.data_directories().resource_directory(bytes, &sections).unwrap();
        let directory = directory.expect("resources");
        let ids = |entry: &object::pe::ImageResourceDirectoryEntry| entry.name_or_id().id();
        let mut resources = BTreeMap::new();
        for kind in directory.root().unwrap().entries {
            let table = kind.data(directory).unwrap().table().unwrap();
            let numbers = table.entries.iter().filter_map(ids).collect();
            resources.insert(ids(kind).unwrap(), numbers);
        }
        resources
    }
    match PeFile64::parse(bytes) {
        Ok(file) => of(&file, bytes),
        Err(_) => of(&PeFile32::parse(bytes).unwrap(), bytes),
    }
}

#[test]
fn every_program_and_dll_has_a_version_an_icon_and_a_manifest() {
    let own = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap());
    let own: Vec<u16> = own.chain([0]).collect();
    for (name, bytes) in own_code() {
        let image = Image::parse(&bytes).unwrap();
        let FileVersion(version) = image.file_version().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(version[..], own[..], "{name}");
        let resources = resources(&bytes);
        let manifest_number = if name.ends_with(".exe") { OF_PROGRAM } else { NOT_EVALUATED };
        assert_eq!(resources[&RT_MANIFEST], [manifest_number], "{name}");
        assert_eq!((&resources[&RT_GROUP_ICON][..], resources[&RT_ICON].len()), (&[1][..], 5));
        assert_eq!(resources[&RT_VERSION], [1], "{name}");

        let manifest = image.manifest().unwrap();
        let windows_7 = "{35138b9a-5d96-4fbd-8e2d-a2440225f93a}";
        let windows_10_and_11 = "{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}";
        let mut words = vec![windows_7, windows_10_and_11, "version=\"0.1.0.0\""];
        let more = ["UTF-8", "permonitorv2", "Microsoft.Windows.Common-Controls", "asInvoker"];
        if name.ends_with(".exe") {
            words.extend(more);
            words.push("<longPathAware xmlns=\"http://schemas.microsoft.com/SMI/2016/WindowsSettings\">true<");
        }
        for word in words {
            assert!(manifest.contains(word), "{word} is not in the manifest of {name}: {manifest}");
        }
    }
}

#[test]
fn every_program_and_dll_names_itself_and_not_where_it_was_built() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    for (name, bytes) in own_code() {
        let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let file = name.rsplit('/').next().unwrap();
        // The variants take the place of the ordinary ones.
        let file = file.replace("-avx2", "").replace("-sse42", "").replace("-check", "");
        assert!(contains(&wide(&file)), "{name} is not called {file}");
        assert!(contains(&wide("The allograft authors")), "{name}");
        for place in [checkout.as_str(), "registry/src", "registry\\src", ".cargo"] {
            assert!(!contains(place.as_bytes()), "{name} contains {place}");
        }
        // The linker's time of the build.
        let header = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
        assert_eq!(bytes[header + 8..header + 12], [0; 4], "{name} has a time");
    }
}

#[test]
fn the_bill_of_materials_has_the_hash_of_every_program_and_dll() {
    let bill = fs::read(unpacked().join("allograft.cdx.json")).unwrap();
    let bill: Value = serde_json::from_slice(&bill).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bill["components"].as_array().unwrap();
    let stated: BTreeMap<String, String> = components
        .iter()
        .filter(|component| component["type"] == "file")
        .map(|file| {
            let hash = file["hashes"][0]["content"].as_str().unwrap();
            (file["name"].as_str().unwrap().to_owned(), hash.to_owned())
        })
        .collect();
    let found = code().into_iter().map(|(name, bytes)| (name, sha256(&bytes))).collect();
    assert_eq!(stated, found);
    assert!(components.iter().any(|one| one["name"] == "mimalloc"));
}

fn launcher(name: &str) -> Launch<'static> {
    Launch::new(Stage::load(), unpacked().join(name)).input("")
}

#[test]
fn both_launchers_name_their_commit_mimalloc_and_processor() {
    let stage = Stage::load();
    let own = env!("CARGO_PKG_VERSION");
    let run = launcher("allograft.exe").arg("--version").run();
    run.expect_code(0).expect_output(&[&format!("allograft {own} (commit "), ", mimalloc 3."]);
    run.expect_output(&[", x86-64)"]);
    if let Some(x86) = &stage.x86 {
        let run = launcher("allograft32.exe").on(&x86.crts[0]).arg("--version").run();
        run.expect_code(0).expect_output(&[&format!("allograft {own} (commit "), ", x86)"]);
    }
}

#[test]
fn verify_runs_from_the_download_alone() {
    let run = launcher("allograft.exe").args(&["verify", "--quick", "--only", "early"]).run();
    run.expect_code(0).expect_output(&["allograft works on this Wine", "3 starts"]);
}

#[test]
fn a_program_is_checked_run_patched_and_made_what_it_was() {
    let stage = Stage::load();
    let folder =
        inputs::folder_with(&[stage.real.clang_format.clone(), unpacked().join("allograft.dll")]);
    let program = folder.path().join("clang-format.exe");
    let original = fs::read(&program).unwrap();
    let check = launcher("allograft.exe").arg("check").path_arg(&program).run();
    check.expect_code(0).expect_output(&["it will work", "allograft run -- "]);
    assert!(!check.stdout.contains('\x1b'), "{check}");

    let report = folder.path().join("report.json");
    let run = launcher("allograft.exe").args(&["run", "--report"]).path_arg(&report).arg("--");
    let run = run.path_arg(&program).arg("--version").run();
    run.expect_code(0).expect_output(&["clang-format version"]);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["state"], "active", "{run}");

    let patch = launcher("allograft.exe").args(&["patch", "--inplace"]).path_arg(&program).run();
    patch.expect_code(0);
    let patched = Launch::new(stage, program.clone()).input("").report_by_variable();
    let patched = patched.arg("--version").run();
    patched.expect_code(0).expect_output(&["clang-format version"]).expect_taken_over();
    let undo = launcher("allograft.exe").args(&["patch", "--undo"]).path_arg(&program).run();
    undo.expect_code(0);
    assert!(fs::read(&program).unwrap() == original, "{undo}");
}

/// The functions of vcpkg that the port calls, as far as it uses them: the download is the zip that
/// `dist` made.
const VCPKG: &str = r#"
    function(vcpkg_check_linkage)
    endfunction()
    function(vcpkg_download_distfile result)
      cmake_parse_arguments(PARSE_ARGV 1 file "" "URLS;FILENAME;SHA512" "")
      file(SHA512 "${ZIP}" hash)
      if(NOT hash STREQUAL file_SHA512 OR NOT file_URLS MATCHES "^https://.*/${file_FILENAME}$")
        message(FATAL_ERROR "the zip is not the one that the port downloads: ${hash}")
      endif()
      set(${result} "${ZIP}" PARENT_SCOPE)
    endfunction()
    function(vcpkg_extract_source_archive result)
      cmake_parse_arguments(PARSE_ARGV 1 from "" "ARCHIVE" "")
      file(ARCHIVE_EXTRACT INPUT "${from_ARCHIVE}" DESTINATION "${CURRENT_BUILDTREES_DIR}")
      file(GLOB folder "${CURRENT_BUILDTREES_DIR}/*")
      set(${result} "${folder}" PARENT_SCOPE)
    endfunction()
    function(vcpkg_install_copyright)
      cmake_parse_arguments(PARSE_ARGV 0 texts "" "" "FILE_LIST")
      foreach(text IN LISTS texts_FILE_LIST)
        file(READ "${text}" words)
        file(APPEND "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${words}")
      endforeach()
    endfunction()
    include("${PORTFILE}")
"#;

/// Finds the installed package as a project would, for programs of either kind.
const PROJECT: &str = r#"
    cmake_minimum_required(VERSION 3.15)
    project(example LANGUAGES NONE)
    set(CMAKE_SIZEOF_VOID_P ${POINTER})
    find_package(allograft 0.1 CONFIG REQUIRED)
    foreach(property IMPORTED_LOCATION IMPORTED_IMPLIB INTERFACE_INCLUDE_DIRECTORIES)
      get_target_property(path allograft::mimalloc ${property})
      if(NOT EXISTS "${path}")
        message(FATAL_ERROR "${property}: there is no ${path}")
      endif()
    endforeach()
"#;

#[test]
fn the_port_for_vcpkg_installs_what_cmake_finds() {
    let stage = Stage::load();
    let port = zip().with_file_name("manifests").join("vcpkg/allograft/portfile.cmake");
    let machines = [("x64", "8", "mimalloc.dll"), ("x86", "4", "x86/mimalloc.dll")];
    for (machine, pointer, dll) in machines {
        if machine == "x86" && stage.x86.is_none() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("vcpkg.cmake"), VCPKG).unwrap();
        fs::create_dir(at("project")).unwrap();
        fs::write(at("project/CMakeLists.txt"), PROJECT).unwrap();
        let define = |name: &str, value: &dyn std::fmt::Display| format!("-D{name}={value}");
        let mut install = Command::new(&stage.cmake);
        install
            .arg(define("ZIP", &zip().display()))
            .arg(define("PORTFILE", &port.display()))
            .arg(define("PORT", &"allograft"))
            .arg(define("VCPKG_TARGET_ARCHITECTURE", &machine))
            .arg(define("CURRENT_PACKAGES_DIR", &at("installed").display()))
            .arg(define("CURRENT_BUILDTREES_DIR", &at("tree").display()))
            .args(["-P", "vcpkg.cmake"]);
        run(&mut install, folder.path());
        let mut configure = Command::new(&stage.cmake);
        configure
            .args(["-G", "Unix Makefiles", "-S", "project", "-B", "build"])
            .arg(define("CMAKE_PREFIX_PATH", &at("installed").display()))
            .arg(define("POINTER", &pointer));
        run(&mut configure, folder.path());
        for prefix in ["installed", "installed/debug"] {
            let installed = fs::read(at(prefix).join("bin/mimalloc.dll")).unwrap();
            assert!(installed == fs::read(unpacked().join(dll)).unwrap(), "{machine}");
            assert!(at(prefix).join("lib/libmimalloc.dll.a").is_file());
        }
        let copyright = fs::read_to_string(at("installed/share/allograft/copyright")).unwrap();
        assert!(copyright.contains("The allograft authors") && copyright.contains("Microsoft"));
    }
}

#[track_caller]
fn run(command: &mut Command, folder: &Path) {
    let output = command.current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let [said, complaint] =
        [&output.stdout, &output.stderr].map(|one| String::from_utf8_lossy(one));
    assert!(output.status.success(), "{command:?}\n{said}{complaint}");
}
