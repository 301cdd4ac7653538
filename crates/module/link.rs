//! Links the module without a C runtime: its entry point is our own, and nothing runs before it.
//! Adds the file's version, icon and manifest.

use allograft_resources::Resources;
use std::env;

fn main() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    let x86 = env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86");
    let entry = if x86 { "_module_entry" } else { "module_entry" };
    for argument in ["-nostartfiles", "-Wl,--gc-sections", &format!("-Wl,--entry={entry}")] {
        println!("cargo:rustc-link-arg-cdylib={argument}");
    }
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let resources = if package == "allograft-mimalloc" {
        Resources {
            file: "mimalloc.dll",
            file_x86: "mimalloc.dll",
            description: "mimalloc with allograft's takeover of the C runtime",
        }
    } else {
        Resources {
            file: "allograft.dll",
            file_x86: "allograft32.dll",
            description: "allograft's module, which puts mimalloc into a program",
        }
    };
    resources.embed_in_dll();
}
