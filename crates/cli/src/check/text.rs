//! The report of `check` as text.

use crate::output::Palette;
use allograft_image::Subsystem;
use allograft_image::check::{CheckReport, CrtUse, Dotnet};
use std::fmt::Write as _;

/// How many of the modules that use a C runtime are named.
const MAX_NAMES: usize = 4;

pub fn write(text: &mut String, report: &CheckReport, palette: &Palette) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", report.path);
    let mut line = |label: &str, what: &str| {
        let _ = writeln!(text, "  {label:<22} {what}");
    };
    line("image", &nature(report));
    for crt in &report.crts {
        line("C runtime", &crt_use(crt));
    }
    if let Some(guess) = report.static_runtime {
        line("C runtime", &format!("none imported; {}", guess.words()));
    }
    for allocator in &report.allocators {
        line("allocator", &format!("{allocator} is imported"));
    }
    let bad = palette.bad;
    for guard in &report.anti_cheats {
        let name = format!("{bad}{}{bad:#}", guard.name);
        line("ANTI-CHEAT", &format!("{name} ({}): {}", guard.evidence, guard.why));
    }
    for mitigation in &report.mitigations {
        line(mitigation.code, mitigation.meaning);
    }
    let verdict = &report.verdict;
    let (answer, style) = if verdict.works { ("it will work", palette.good) } else { ("no", bad) };
    line("verdict", &format!("{style}{answer}{style:#}: {}", verdict.reason));
    if !verdict.command.is_empty() {
        line("command", &verdict.command);
    }
}

fn nature(report: &CheckReport) -> String {
    let kind = match (report.is_dll, report.subsystem) {
        (true, _) => "DLL",
        (false, Subsystem::Console) => "console program",
        (false, Subsystem::Gui) => "program with windows",
        (false, Subsystem::Other) => "program for a subsystem of its own",
    };
    let mut nature = format!("{}, {kind}", report.machine);
    if let Some(version) = report.version {
        let _ = write!(nature, ", version {version}");
    }
    match report.dotnet {
        Some(Dotnet::Pure) => nature.push_str(", .NET code only"),
        Some(Dotnet::Mixed) => nature.push_str(", with .NET code"),
        None => {}
    }
    if let Some(packer) = report.packer {
        let _ = write!(nature, ", packed with {packer}");
    }
    nature.push_str(if report.is_signed { ", signed" } else { ", not signed" });
    if let Some(module) = &report.patched_with {
        let _ = write!(nature, ", patched with {module}");
    }
    nature
}

fn crt_use(crt: &CrtUse) -> String {
    let fate = if crt.crt.taken_over { "taken over" } else { "not taken over yet" };
    let copy = match crt.version_beside {
        Some(version) => format!("version {version} beside it"),
        None => "the system's".to_owned(),
    };
    let mut line = format!("{} ({}; {copy}), {fate}", crt.crt.file, crt.crt.origin);
    if !crt.used_by.is_empty() {
        let _ = write!(line, "; used by {}", listed(&crt.used_by));
    }
    if !crt.maybe_used_by.is_empty() {
        let _ = write!(line, "; also by {} if loaded", listed(&crt.maybe_used_by));
    }
    line
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
