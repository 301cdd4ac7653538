//! Links the module without a C runtime: its entry point is our own, and nothing runs before it.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    for argument in [
        "-nostartfiles",
        "-Wl,--gc-sections",
        "-Wl,--entry=redirect_entry",
    ] {
        println!("cargo:rustc-link-arg-cdylib={argument}");
    }
}
