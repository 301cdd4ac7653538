//! Compiles the C++ library, as any program with C++ in it does.

fn main() {
    println!("cargo:rerun-if-changed=src/words.cpp");
    cc::Build::new().cpp(true).cpp_link_stdlib_static(true).file("src/words.cpp").compile("words");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        // rustc names this library in front of GCC's own, which need it for C++ and are read last.
        println!("cargo:rustc-link-arg-bins=-lmingw32");
    }
}
