//! Compiles mimalloc and the entry points as one translation unit, for Windows targets only.

mod flags;

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=native");
    println!("cargo:rerun-if-changed=flags.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") || !feature("own") {
        return;
    }
    let include = PathBuf::from(
        env::var_os("DEP_MIMALLOC_INCLUDE_DIR")
            .expect("libmimalloc-sys says where mimalloc's headers are"),
    );

    let mut build = cc::Build::new();
    flags::set(&mut build, &include);
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86") {
        set_for_x86(&mut build);
    }
    build
        .file("native/entry.c")
        .include("native")
        // Drops what nothing calls: the linker cannot, since the unwind tables name every function.
        .flag_if_supported("-fwhole-program");
    define_by_features(&mut build);
    build.compile("allograft_entry");
}

/// Sets what differs on x86, where addresses are few and nothing can be taken for granted of the
/// caller's stack.
fn set_for_x86(build: &mut cc::Build) {
    build
        // As Rust's own target: every processor since the Pentium 4.
        .flag("-march=pentium4")
        .flag("-mtune=generic")
        .flag("-mfpmath=sse")
        // Windows aligns the stack to a word only.
        .flag("-mpreferred-stack-boundary=2")
        // The system unwinds by the registrations that frames make, and steps over those without
        // one.
        .flag("-fno-exceptions")
        .flag("-fno-asynchronous-unwind-tables")
        // C runtimes align to 8 bytes here: MEMORY_ALLOCATION_ALIGNMENT.
        .define("MI_MAX_ALIGN_SIZE", Some("8"))
        // In KiB: mimalloc takes address space in pieces of this size (twice as large with every
        // eighth), and does not give it back.
        .define("MI_DEFAULT_ARENA_RESERVE", Some("32768"))
        // In KiB: larger blocks than this are the system's, and go back to it when they are freed.
        .define("MI_DEFAULT_ARENA_MAX_OBJECT_SIZE", Some("8192"));
}

/// What differs between the variants of the modules.
fn define_by_features(build: &mut cc::Build) {
    if feature("debug") {
        build
            .define("MI_DEBUG", Some("2"))
            .define("MI_SHOW_ERRORS", Some("1"))
            .define("MI_GUARDED", Some("0"));
    } else if feature("check-frees") {
        // Freed and fresh blocks are filled, encoded free lists show double frees, and padding shows
        // overruns. Guard pages would cost more than all of these.
        build
            .define("MI_DEBUG", Some("1"))
            .define("MI_GUARDED", Some("0"))
            .define("ALLOGRAFT_CHECK_FREES", None);
    } else {
        flags::without_checks(build);
    }
    if feature("avx2") {
        build.flag("-march=haswell");
    }
    if feature("sse42") {
        build.flag("-march=nehalem").flag("-mtune=generic");
    }
    if feature("secure") {
        build.define("MI_SECURE", Some("4"));
    }
    if feature("public-api") {
        build.define("ALLOGRAFT_PUBLIC_API", None);
    }
    if feature("skip-collect-on-exit") {
        build.define("MI_SKIP_COLLECT_ON_EXIT", None);
    }
}

fn feature(name: &str) -> bool {
    let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
    env::var_os(variable).is_some()
}
