//! Links the module without a C runtime: its entry point is our own, and nothing runs before it.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86");
    let entry = if x86 { "_redirect_entry" } else { "redirect_entry" };
    for argument in ["-nostartfiles", "-Wl,--gc-sections", &format!("-Wl,--entry={entry}")] {
        println!("cargo:rustc-link-arg-cdylib={argument}");
    }
}
