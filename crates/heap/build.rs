//! Compiles mimalloc and the entry points as one translation unit, for Windows targets only.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=native");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") || !feature("own") {
        return;
    }
    let include = PathBuf::from(
        env::var_os("DEP_MIMALLOC_INCLUDE_DIR")
            .expect("libmimalloc-sys says where mimalloc's headers are"),
    );
    let sources = include
        .parent()
        .expect("mimalloc's include folder has a parent")
        .join("src");

    let mut build = cc::Build::new();
    build
        .file("native/entry.c")
        .include("native")
        .include(&include)
        .include(&sources)
        .opt_level(3)
        .debug(false)
        .warnings(false)
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        // Drops what nothing calls: the linker cannot, since the unwind tables name every function.
        .flag_if_supported("-fwhole-program")
        // The program's handlers may raise through the entries.
        .flag("-fexceptions")
        .flag("-fno-builtin-malloc")
        .flag("-fno-stack-protector")
        .flag("-Wno-unknown-pragmas");
    for (name, value) in definitions() {
        build.define(name, value);
    }
    if feature("avx2") {
        build.flag("-march=haswell");
    }
    build.compile("allograft_entry");
}

/// The preprocessor definitions that mimalloc is built with.
fn definitions() -> Vec<(&'static str, Option<&'static str>)> {
    let mut definitions = vec![
        // We start and end mimalloc ourselves; this choice leaves nothing that runs by itself.
        ("MI_WIN_INIT_USE_TLS_DLLMAIN", None),
        // The ownership test reads the page map for any pointer, so all of it must be readable.
        ("MI_DEFAULT_PAGEMAP_COMMIT", Some("1")),
        ("_WIN32_WINNT", Some("0x0A00")),
    ];
    if feature("debug") {
        definitions.push(("MI_DEBUG", Some("2")));
        definitions.push(("MI_SHOW_ERRORS", Some("1")));
        definitions.push(("MI_GUARDED", Some("0")));
    } else {
        definitions.push(("MI_BUILD_RELEASE", None));
        definitions.push(("NDEBUG", None));
    }
    if feature("secure") {
        definitions.push(("MI_SECURE", Some("4")));
    }
    if feature("public-api") {
        definitions.push(("ALLOGRAFT_PUBLIC_API", None));
    }
    if feature("skip-collect-on-exit") {
        definitions.push(("MI_SKIP_COLLECT_ON_EXIT", None));
    }
    definitions
}

fn feature(name: &str) -> bool {
    let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
    env::var_os(variable).is_some()
}
