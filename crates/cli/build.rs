//! Adds the launcher's version, icon and manifest, and tells it the commit that it is built from.

use allograft_resources::Resources;
use std::process::Command;

fn main() {
    let resources = Resources {
        file: "allograft.exe",
        file_x86: "allograft32.exe",
        description: "allograft: mimalloc for Windows programs",
    };
    resources.embed_in_program();
    println!("cargo:rustc-env=ALLOGRAFT_COMMIT={}", commit());
}

/// What `ALLOGRAFT_COMMIT` says (`cargo xtask` sets it), else the commit that is checked out, else
/// `unknown`.
fn commit() -> String {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ALLOGRAFT_COMMIT");
    if let Ok(commit) = std::env::var("ALLOGRAFT_COMMIT") {
        return commit;
    }
    checked_out().unwrap_or_else(|| "unknown".to_owned())
}

fn checked_out() -> Option<String> {
    // A copy of these sources may lie in a checkout of something else.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    // Every commit and every checkout appends to this file.
    println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git prints, if there is a git, and this is a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
