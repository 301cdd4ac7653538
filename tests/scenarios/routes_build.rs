//! Programs that are linked with `mimalloc.dll` by the tools that people build with: pkg-config,
//! CMake, Microsoft's kind of linker; and with the kit of an unmodified `mimalloc.dll`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::{Launch, Stage};
use tempfile::TempDir;

/// Calls mimalloc, and ends with 0 if what the C runtime gives out is mimalloc's.
const CALLS: &str = "
    #include <mimalloc.h>
    #include <stdlib.h>
    int main(void) {
        void *block = malloc(100);
        return mi_version() > 30000 && mi_is_redirected() && mi_is_in_heap_region(block) ? 0 : 1;
    }
";

/// Names nothing of mimalloc's, and ends with 0 if it has mimalloc all the same.
const CALLS_NOTHING: &str = "
    #include <stdbool.h>
    #include <stdlib.h>
    #include <windows.h>
    int main(void) {
        HMODULE mimalloc = GetModuleHandleA(\"mimalloc.dll\");
        bool (*owns)(const void *) = (bool (*)(const void *))(void *)GetProcAddress(mimalloc, \"mi_is_in_heap_region\");
        return owns && owns(malloc(100)) ? 0 : 1;
    }
";

/// The same question, with declarations of its own: Microsoft's headers are not here.
const CALLS_WITHOUT_HEADERS: &str = "
    __declspec(dllimport) _Bool mi_is_redirected(void);
    __declspec(dllimport) _Bool mi_is_in_heap_region(const void *);
    __declspec(dllimport) void *malloc(__SIZE_TYPE__);
    int start(void) { return mi_is_redirected() && mi_is_in_heap_region(malloc(100)) ? 0 : 1; }
";

/// A folder with `sources`, by their names.
fn folder_with(sources: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in sources {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The folders with an unmodified `mimalloc.dll`.
fn kits() -> [PathBuf; 2] {
    ["redirected", "redirected-raw"].map(|name| developer_files().join(name))
}

/// What `cargo xtask dist` lays out for those who link with allograft's `mimalloc.dll`.
fn developer_files() -> &'static Path {
    Stage::load().developer_files()
}

/// Runs a tool in `folder`, and returns what it prints.
#[track_caller]
fn run(command: &mut Command, folder: &Path) -> String {
    let output = command.current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{complaint}");
    said
}

/// Compiles the two programs in `folder` for the Universal CRT with the flags that `add` adds, and
/// runs them with the DLLs of `dlls`.
#[track_caller]
fn expect_redirected(folder: &TempDir, dlls: &Path, add: impl Fn(&mut Command)) {
    let stage = Stage::load();
    for name in ["calls", "nothing"] {
        let program = folder.path().join(name).with_extension("exe");
        let mut compile = Command::new(&stage.zig);
        compile.args(["cc", "-target", &format!("{}-windows-gnu", stage.target.zig)]);
        compile.arg(format!("{name}.c"));
        add(&mut compile);
        run(compile.arg("-o").arg(&program), folder.path());
        comes_up_redirected(&program, dlls);
    }
}

/// Runs `program` on each of Microsoft's C runtimes with the DLLs of `dlls` beside it.
#[track_caller]
fn comes_up_redirected(program: &Path, dlls: &Path) {
    for entry in fs::read_dir(dlls).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "dll") {
            fs::copy(&path, program.with_file_name(path.file_name().unwrap())).unwrap();
        }
    }
    for crt in Stage::load().microsoft_crts() {
        Launch::new(Stage::load(), program.to_owned()).on(crt).run().expect_code(0);
    }
}

/// Whether `tool` can be started; says so if not, for whoever wonders what was tested.
fn is_there(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("NOT TESTED: there is no {tool} in PATH");
    }
    is_there
}

#[test]
fn a_program_built_by_what_pkg_config_says_comes_up_redirected() {
    if !is_there("pkg-config") {
        return;
    }
    let folder = folder_with(&[("calls.c", CALLS), ("nothing.c", CALLS_NOTHING)]);
    let flags = run(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "allograft"])
            .env("PKG_CONFIG_PATH", developer_files().join("lib/pkgconfig")),
        folder.path(),
    );
    expect_redirected(&folder, developer_files(), |compile| {
        compile.args(flags.split_whitespace());
    });
}

#[test]
fn a_program_whose_cmake_project_finds_allograft_comes_up_redirected() {
    if !is_there("make") {
        return;
    }
    let project = "
        cmake_minimum_required(VERSION 3.15)
        project(example LANGUAGES C)
        find_package(allograft 0.1 REQUIRED)
        foreach(program calls nothing)
          add_executable(${program} ${program}.c)
          target_link_libraries(${program} PRIVATE allograft::mimalloc)
        endforeach()
    ";
    let stage = Stage::load();
    let toolchain = format!(
        "set(CMAKE_SYSTEM_NAME Windows)\nset(CMAKE_C_COMPILER {} cc -target {}-windows-gnu)\n",
        stage.zig.display(),
        stage.target.zig
    );
    let folder = folder_with(&[
        ("calls.c", CALLS),
        ("nothing.c", CALLS_NOTHING),
        ("CMakeLists.txt", project),
        ("toolchain.cmake", &toolchain),
    ]);
    // One package serves the programs of both machines.
    let laid_out = stage.bin.parent().unwrap();
    let prefix = format!("-DCMAKE_PREFIX_PATH={}", laid_out.display());
    let mut configure = Command::new(&stage.cmake);
    configure
        .args(["-G", "Unix Makefiles", "-S", ".", "-B", "build", "--toolchain", "toolchain.cmake"])
        .arg(prefix);
    run(&mut configure, folder.path());
    run(Command::new(&stage.cmake).args(["--build", "build"]), folder.path());
    for name in ["calls.exe", "nothing.exe"] {
        comes_up_redirected(&folder.path().join("build").join(name), developer_files());
    }
}

#[test]
fn a_program_linked_the_way_of_microsofts_tools_comes_up_redirected() {
    let stage = Stage::load();
    let zig = || Command::new(&stage.zig);
    let [kit, _] = kits();
    for made_by in [developer_files(), &kit] {
        let folder = folder_with(&[
            ("start.c", CALLS_WITHOUT_HEADERS),
            ("ucrt.def", "LIBRARY ucrtbase.dll\nEXPORTS\n    malloc\n"),
        ]);
        let target = format!("{}-windows-msvc", stage.target.zig);
        let mut compile = zig();
        compile.args(["cc", "-target", &target, "-O1", "-fno-builtin"]);
        compile.args(["-c", "start.c", "-o", "start.obj"]);
        run(&mut compile, folder.path());
        let mut library = zig();
        library.args(["dlltool", "-m", stage.target.dlltool, "-d", "ucrt.def", "-l", "ucrt.lib"]);
        run(&mut library, folder.path());
        let mut link = zig();
        link.args(["lld-link", "/nologo", "/entry:start", "/subsystem:console", "/nodefaultlib"])
            .args(["/out:start.exe", "start.obj", "ucrt.lib"])
            .arg(made_by.join("lib/mimalloc.dll.lib"));
        run(&mut link, folder.path());
        comes_up_redirected(&folder.path().join("start.exe"), made_by);
    }
}

#[test]
fn a_program_linked_with_the_kit_of_an_unmodified_mimalloc_comes_up_redirected() {
    for kit in kits() {
        let folder = folder_with(&[("calls.c", CALLS), ("nothing.c", CALLS_NOTHING)]);
        expect_redirected(&folder, &kit, |compile| {
            // A program that calls nothing of mimalloc's gets it by this.
            compile
                .arg(format!("-Wl,-u,{}mi_version", Stage::load().target.symbol_prefix))
                .arg("-I")
                .arg(kit.join("include"))
                .arg(kit.join("lib/libmimalloc.dll.a"));
        });
    }
}
