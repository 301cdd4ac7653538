//! Compiles the C++ library, as any program with C++ in it does.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=src/words.cpp");
    let is_for = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    let gnu = is_for("CARGO_CFG_TARGET_ENV", "gnu");
    cc::Build::new().cpp(true).cpp_link_stdlib_static(gnu).file("src/words.cpp").compile("words");
    if gnu && is_for("CARGO_CFG_TARGET_OS", "windows") {
        // rustc names this library in front of GCC's own, which need it for C++ and are read last.
        println!("cargo:rustc-link-arg-bins=-lmingw32");
    }
}
