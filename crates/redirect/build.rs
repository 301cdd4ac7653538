//! Links the module without a C runtime: its entry point is our own, and nothing runs before it.
//! Adds the file's version, icon and manifest.

use allograft_resources::Resources;

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86");
    let entry = if x86 { "_redirect_entry" } else { "redirect_entry" };
    for argument in ["-nostartfiles", "-Wl,--gc-sections", &format!("-Wl,--entry={entry}")] {
        println!("cargo:rustc-link-arg-cdylib={argument}");
    }
    let resources = Resources {
        file: "mimalloc-redirect.dll",
        file_x86: "mimalloc-redirect32.dll",
        description: "allograft's redirection module for mimalloc.dll",
    };
    resources.embed_in_dll();
}
