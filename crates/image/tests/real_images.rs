//! Comparisons with other tools: real images, in the folders that `ALLOGRAFT_IMAGES` lists (as
//! `PATH` lists its own) and in those inside them; and the code of proxies, with MinGW's
//! assemblers. `cargo xtask test` runs this on all it has downloaded; by hand:
//! `ALLOGRAFT_IMAGES=FOLDER cargo test -p allograft-image --test real_images -- --ignored`.

mod support;

use allograft_image::check::{HeapUse, RuntimesHeap};
use allograft_image::{Image, ImageFile, ImportKind, checksum};
use object::read::coff::CoffFile;
use object::{Object, ObjectSection};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{MODULE, imports, patch_bytes, undo_bytes};

/// The variable that lists the folders, and the one that names another objdump than MinGW's.
const FOLDERS: &str = "ALLOGRAFT_IMAGES";
const OBJDUMP: &str = "ALLOGRAFT_OBJDUMP";

fn real_images() -> Vec<PathBuf> {
    let listed = std::env::var_os(FOLDERS)
        .unwrap_or_else(|| panic!("set {FOLDERS} to a folder with PE images"));
    let mut images = Vec::new();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&listed).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "exe" || it == "dll") {
                images.push(path);
            }
        }
    }
    assert!(!images.is_empty(), "no image in the folders that {FOLDERS} lists");
    images
}

/// Modules with the number of functions imported from each, as binutils' objdump lists them.
fn objdump(path: &Path) -> Vec<(String, usize)> {
    let program =
        std::env::var(OBJDUMP).unwrap_or_else(|_| "x86_64-w64-mingw32-objdump".to_owned());
    let output = Command::new(&program)
        .arg("-p")
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut is_in_list = false;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(name) = line.trim_start().strip_prefix("DLL Name: ") {
            modules.push((name.to_owned(), 0));
            is_in_list = true;
        } else if line.trim().is_empty() {
            is_in_list = false;
        } else if let Some((_, count)) =
            modules.last_mut().filter(|_| is_in_list && !line.contains("vma:"))
        {
            *count += 1;
        }
    }
    modules
}

#[test]
#[ignore = "needs a folder of real images and objdump"]
fn imports_are_those_that_objdump_lists() {
    for path in real_images() {
        let file = ImageFile::open(&path).unwrap();
        let image = Image::parse(file.data()).unwrap();
        // MinGW's objdump reads x86 and x86-64.
        if !image.headers().machine.is_taken_over() {
            continue;
        }
        let modules = image.imports().unwrap();
        let ordinary = modules.into_iter().filter(|module| module.kind == ImportKind::Ordinary);
        let count =
            |module| image.functions(&module).map(|functions| (module.name, functions.len()));
        let ours: Result<Vec<_>, _> = ordinary.map(count).collect();
        assert_eq!(ours.unwrap(), objdump(&path), "{}", path.display());
    }
}

#[test]
#[ignore = "needs a folder of real images"]
fn real_images_are_patched_and_undone_byte_for_byte() {
    for path in real_images() {
        let file = ImageFile::open(&path).unwrap();
        let (patched, _) = patch_bytes(file.data(), MODULE, false)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let ((old, _), (new, _)) = (imports(file.data()), imports(&patched));
        assert_eq!((new[0].as_str(), &new[1..]), (MODULE, &old[..]), "{}", path.display());
        assert!(undo_bytes(&patched, false).unwrap().equals(file.data()), "{}", path.display());
    }
}

/// Programs whose C runtime is linked in, and where it has its heap from.
const LINKED_RUNTIMES: [(&str, RuntimesHeap); 8] = [
    ("cmake.exe", RuntimesHeap::Process),
    ("duckdb.exe", RuntimesHeap::Process),
    ("ninja.exe", RuntimesHeap::Process),
    ("node.exe", RuntimesHeap::Process),
    ("rg.exe", RuntimesHeap::Process),
    ("typos.exe", RuntimesHeap::Process),
    ("cli-32.exe", RuntimesHeap::Private),
    ("cli-64.exe", RuntimesHeap::Private),
];

#[test]
#[ignore = "needs a folder of real images"]
fn linked_in_runtimes_are_found_by_the_handle_of_their_heap() {
    let images = real_images();
    for (name, heap) in LINKED_RUNTIMES {
        let mut found = images.iter().filter(|path| path.ends_with(name)).peekable();
        assert!(found.peek().is_some(), "there is no {name}");
        for path in found {
            let file = ImageFile::open(path).unwrap();
            let usage = HeapUse::read(&Image::parse(file.data()).unwrap()).unwrap();
            let runtime = usage.linked_runtime.unwrap_or_else(|| panic!("{}", path.display()));
            assert_eq!(runtime.heap, heap, "{}", path.display());
            let is_rust = ["rg.exe", "typos.exe"].contains(&name);
            assert_eq!(usage.rust.is_some(), is_rust, "{}", path.display());
        }
    }
}

#[test]
#[ignore = "needs a folder of real images"]
fn no_runtime_is_found_in_programs_that_import_theirs() {
    for path in real_images() {
        let file = ImageFile::open(&path).unwrap();
        let image = Image::parse(file.data()).unwrap();
        let imports_crt = image.imports().unwrap().iter().any(|module| module.crt().is_some());
        if imports_crt {
            let usage = HeapUse::read(&image).unwrap();
            assert_eq!(usage.linked_runtime, None, "{}", path.display());
        }
    }
}

#[test]
#[ignore = "needs a folder of real images"]
fn the_checksums_that_real_linkers_and_signers_state_are_ours() {
    for path in real_images() {
        let file = ImageFile::open(&path).unwrap();
        let headers = Image::parse(file.data()).unwrap().headers().clone();
        if headers.checksum != 0 {
            let mut data = file.data().to_vec();
            data[headers.nt_offset + 24 + 64..][..4].fill(0);
            assert_eq!(checksum(&data), headers.checksum, "{}", path.display());
        }
    }
}

/// The listings of the code of proxies, and their assemblers.
const LISTINGS: [(&str, &str); 2] = [
    (include_str!("../src/proxy/x64.lst"), "x86_64-w64-mingw32-as"),
    (include_str!("../src/proxy/x86.lst"), "i686-w64-mingw32-as"),
];

#[test]
#[ignore = "needs MinGW's assemblers"]
fn the_code_of_proxies_is_what_its_source_assembles_to() {
    let folder = tempfile::tempdir().unwrap();
    let (source_path, object_path) = (folder.path().join("code.s"), folder.path().join("code.o"));
    for (listing, assembler) in LISTINGS {
        let (hex, source): (Vec<&str>, Vec<&str>) =
            listing.lines().map(|line| line.split_at(line.len().min(24))).unzip();
        std::fs::write(&source_path, source.join("\n") + "\n").unwrap();
        let paths = [source_path.as_os_str(), "-o".as_ref(), object_path.as_os_str()];
        let status = Command::new(assembler).args(paths).status();
        assert!(status.unwrap_or_else(|error| panic!("{assembler}: {error}")).success());
        let bytes = std::fs::read(&object_path).unwrap();
        let object = CoffFile::<_>::parse(&*bytes).unwrap();
        let code = object.section_by_name(".text").unwrap().data().unwrap();
        let assembled: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        let listed: String = hex.iter().map(|bytes| bytes.trim()).collect();
        let padding = assembled.strip_prefix(&listed).expect("other bytes than those listed");
        assert_eq!(padding.replace("90", ""), "", "more than listed");
    }
}
