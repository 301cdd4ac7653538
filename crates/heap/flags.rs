//! How mimalloc is compiled for Windows. The modules' build (build.rs) and that of the bench's
//! baseline, the same mimalloc linked statically (in xtask), share it, so that the bench compares
//! nothing else.

use std::path::Path;

/// Sets the flags and definitions of a release build, and where mimalloc's headers (`include`) and
/// the sources beside them are found.
pub fn set(build: &mut cc::Build, include: &Path) {
    let sources = include.with_file_name("src");
    build.include(include).include(sources).opt_level(3).debug(false).warnings(false);
    let compiler = build.get_compiler();
    if compiler.is_like_msvc() {
        set_for_msvc(build);
    } else {
        set_for_gnu(build);
        // mimalloc's checks name their source file, which is not to say where it was built.
        if let Some(root) = include.parent() {
            build.flag(format!("-fmacro-prefix-map={}=mimalloc", root.display()));
        }
    }
    if !compiler.is_like_msvc() || compiler.is_like_clang_cl() {
        build
            // mimalloc prints when it was compiled, which would make every build another.
            .flag("-Wno-builtin-macro-redefined")
            .define("__DATE__", Some("\"-\""))
            .define("__TIME__", Some("\"-\""));
    }
    build
        // The ownership test reads the page map for any pointer, so all of it must be readable.
        .define("MI_DEFAULT_PAGEMAP_COMMIT", Some("1"))
        .define("_WIN32_WINNT", Some("0x0A00"));
}

fn set_for_gnu(build: &mut cc::Build) {
    build
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        // The program's handlers may raise through the entries.
        .flag("-fexceptions")
        .flag("-fno-builtin-malloc")
        .flag("-fno-stack-protector")
        .flag("-Wno-unknown-pragmas")
        // We start and end mimalloc ourselves; this choice leaves nothing that runs by itself.
        .define("MI_WIN_INIT_USE_TLS_DLLMAIN", None);
}

/// Sets the same for cl and clang-cl, where every choice leaves something that runs by itself; what
/// it would do is taken out in `native/platform.h`. (On x86, `MI_WIN_INIT_USE_TLS_DLLMAIN` would
/// even have the C runtime call a function of another signature.) Handlers may raise through the
/// entries without a flag: there is nothing to clean up, and on x86 no frame that the system would
/// have to know.
fn set_for_msvc(build: &mut cc::Build) {
    build
        // mimalloc's atomics are those of C++ there, as in its own build.
        .flag("/TP")
        .std("c++17")
        .flag("/Gy")
        .flag("/Gw")
        .flag("/GS-");
}

/// Leaves mimalloc's own checks out.
pub fn without_checks(build: &mut cc::Build) {
    build.define("MI_BUILD_RELEASE", None).define("NDEBUG", None);
}
