//! Each proxy: a DLL of that name beside a program brings the module, and passes calls on.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code};
use crate::verify::runner::Launch;
use allograft_image::known_names;
use std::fs;
use std::path::Path;

/// The exit code of the program `stand_in` where the system has no DLL of that name.
const IS_ABSENT: u32 = 3;

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        known_names().map(|dll| Finding::new(dll, stand_in(context, dll))).collect();
    findings.push(Finding::new("version.dll, as an import", imported(context)));
    findings
}

/// A program that loads `dll` while it runs.
fn stand_in(context: &Context<'_>, dll: &str) -> Result<String, Shortfall> {
    expect_loaded_from_beside(context, dll)?;
    let folder = context.scratch.join(dll);
    let program = proxied(context, &folder, "stand_in.exe", dll)?;
    let run = context.runner.run(&Launch::new(&program).arg(dll))?;
    if run.exit_code == Some(IS_ABSENT) {
        return Err(Outcome::not_tried(format!("this system has no {dll}")));
    }
    expect_code(&run, 0)?;
    let names = run.output.lines().find(|line| line.ends_with(" names"));
    let names = names.ok_or_else(|| Outcome::failed_in(&run, "the program compared nothing"))?;
    Ok(format!("loaded beside the program, on mimalloc; {names} compared with the system's"))
}

/// A program that imports version.dll, and compares what its functions answer.
fn imported(context: &Context<'_>) -> Result<String, Shortfall> {
    expect_loaded_from_beside(context, "version.dll")?;
    let folder = context.scratch.join("imported");
    let program = proxied(context, &folder, "proxied.exe", "version.dll")?;
    let run = context.runner.run(&Launch::new(&program).arg("with-module"))?;
    expect_code(&run, 0)?;
    Ok("its functions answer as the system's, on mimalloc".to_owned())
}

/// Copies the program to a folder of its own, and has the proxy written beside it.
fn proxied(
    context: &Context<'_>,
    folder: &Path,
    name: &str,
    dll: &str,
) -> Result<std::path::PathBuf, Shortfall> {
    let program = folder.join(name);
    fs::create_dir_all(folder).and_then(|()| fs::copy(context.program(name), &program)).map_err(
        |source| Outcome::failed(format!("cannot make {}: {source}", program.display())),
    )?;
    let proxy = context.allograft().args(["proxy", "--as", dll, "--machine"]);
    let proxy = proxy.arg(context.machine.to_string()).arg("--into").arg(folder);
    expect_code(&context.runner.run(&proxy)?, 0)?;
    Ok(program)
}

/// Wine takes a DLL of its own before the one beside the program, unless it was told otherwise
/// before it started: a program cannot tell it for another one.
fn expect_loaded_from_beside(context: &Context<'_>, dll: &str) -> Result<(), Shortfall> {
    let name = dll.trim_end_matches(".dll");
    let overrides = std::env::var("WINEDLLOVERRIDES").unwrap_or_default();
    if context.is_wine && !is_native_first(&overrides, name) {
        return Err(Outcome::not_tried(format!(
            "Wine takes its own {dll} unless it is started with WINEDLLOVERRIDES={name}=n,b"
        )));
    }
    Ok(())
}

/// Whether Wine's `overrides` (`version,winmm=n,b;other=d`) give a program its own `name` first.
fn is_native_first(overrides: &str, name: &str) -> bool {
    overrides.split(';').filter_map(|entry| entry.split_once('=')).any(|(names, order)| {
        order.starts_with('n') && names.split(',').any(|one| one.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::is_native_first;

    #[test]
    fn overrides_name_several_libraries_and_an_order() {
        let overrides = "ucrtbase,winmm=n,b;winedbg.exe=d;version=b,n";
        assert!(is_native_first(overrides, "winmm") && is_native_first(overrides, "ucrtbase"));
        assert!(!is_native_first(overrides, "version") && !is_native_first("", "version"));
    }
}
