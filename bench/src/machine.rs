//! What everything runs on, in words.

use std::process::Command;

use allograft_inject::MIMALLOC_VERSION;
use allograft_tests::Stage;

/// One paragraph: versions, processors, system.
pub fn described(stage: &Stage, rounds: usize) -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let system = match stage.wine.as_ref().and_then(|wine| version_of(wine)) {
        Some(wine) => format!("{wine} on {}", std::env::consts::OS),
        None => "Windows".to_owned(),
    };
    let crt = stage.newest_crt();
    let runtime = match &crt.version {
        Some(version) => format!("Microsoft's ucrtbase.dll {version}"),
        None => "the system's C runtime".to_owned(),
    };
    format!(
        "allograft {} with mimalloc {MIMALLOC_VERSION}, on a machine with {processors} processors ({}), {system}, {runtime}; {rounds} rounds.",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

fn version_of(wine: &std::path::Path) -> Option<String> {
    let output = Command::new(wine).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().replace("wine-", "Wine "))
}
