//! What to do with a program, from all that was seen of it.

use super::{CrtUse, Dotnet, Report, StaticRuntime};
use crate::Reach;
use serde::Serialize;

/// The way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Start the program with the module in it.
    Run,
    /// Put the module into its import table.
    Patch,
    /// None: leave it alone.
    #[default]
    None,
}

/// Whether allograft works on a program, why, and the one command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verdict {
    /// Whether it will work as far as the files tell.
    pub works: bool,
    /// The recommended way in.
    pub route: Route,
    /// The one command; empty if there is none.
    pub command: String,
    /// The reason, in one sentence.
    pub reason: String,
}

/// The verdict on the program of `report`, which comes to a C runtime by way of `reach`.
pub(super) fn of(report: &Report, reach: Reach<'_>) -> Verdict {
    if let Some(reason) = obstacle(report, reach) {
        return Verdict { works: false, route: Route::None, command: String::new(), reason };
    }
    if let Some(module) = &report.patched_with {
        let reason = format!("it is patched already: {module} is first in its import table");
        return Verdict { works: true, reason, ..Verdict::default() };
    }
    let (route, command) = way_in(report);
    Verdict { works: true, route, command, reason: reason(report, reach) }
}

/// Why not, if there is a reason.
fn obstacle(report: &Report, reach: Reach<'_>) -> Option<String> {
    if let Some(guard) = report.anti_cheats.first() {
        return Some(format!("{} guards this program: {}", guard.name, guard.why));
    }
    if !report.machine.is_taken_over() {
        return Some(format!(
            "it is made for {}, and the takeover works in x86 and x86-64 programs only so far",
            report.machine
        ));
    }
    if let Some(allocator) = report.allocators.first() {
        return Some(format!(
            "it imports {allocator}, which brings an allocator of its own: two replacements do not go together"
        ));
    }
    if reach != Reach::Nowhere {
        return None;
    }
    Some(why_nothing_to_take_over(
        report.dotnet,
        report.packer,
        &report.crts,
        report.static_runtime,
    ))
}

/// Why there is nothing to take over in a program that comes to no C runtime which allograft takes
/// over.
pub(super) fn why_nothing_to_take_over(
    dotnet: Option<Dotnet>,
    packer: Option<&str>,
    crts: &[CrtUse],
    static_runtime: Option<StaticRuntime>,
) -> String {
    if dotnet == Some(Dotnet::Pure) {
        return "it holds .NET code only, whose memory .NET manages itself".to_owned();
    }
    if let Some(packer) = packer {
        return format!("it is packed with {packer}, which hides what it imports: unpack it first");
    }
    if let Some(crt) = crts.iter().find(|crt| !crt.used_by.is_empty()) {
        return format!(
            "its C runtime is {} ({}), which allograft does not take over yet",
            crt.file, crt.origin
        );
    }
    match static_runtime {
        Some(guess @ (StaticRuntime::VisualC | StaticRuntime::Unknown)) => {
            format!("it links its C runtime statically ({})", guess.words())
        }
        Some(guess) => format!("neither it nor a DLL beside it imports a C runtime: {}", guess.words()),
        None => "it links its C runtime statically, or has none: neither it nor a DLL beside it imports one".to_owned(),
    }
}

fn reason(report: &Report, reach: Reach<'_>) -> String {
    let runtime = report.crts.iter().find(|crt| crt.taken_over && !crt.used_by.is_empty());
    let runtime = runtime.map_or("a C runtime", |crt| crt.file);
    match reach {
        Reach::Itself => format!("it imports {runtime}, whose heap allograft takes over"),
        Reach::Imported(dll) => format!("it imports {}, which uses {runtime}", dll.name),
        Reach::Beside(dll) => format!(
            "it imports no C runtime itself, but {} beside it, which it may load, uses {runtime}",
            dll.name
        ),
        Reach::Nowhere => String::new(),
    }
}

fn way_in(report: &Report) -> (Route, String) {
    let path = quoted(&report.path);
    if report.is_dll {
        (Route::Patch, format!("allograft patch {path}"))
    } else {
        (Route::Run, format!("allograft run -- {path}"))
    }
}

fn quoted(path: &str) -> String {
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path.to_owned() }
}
