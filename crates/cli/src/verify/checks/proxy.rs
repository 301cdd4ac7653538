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
    let folder = context.scratch.join(dll);
    let program = proxied(context, &folder, "stand_in.exe", dll)?;
    let run = context.runner.run(&launch(context, &program, dll).arg(dll))?;
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
    let folder = context.scratch.join("imported");
    let program = proxied(context, &folder, "proxied.exe", "version.dll")?;
    let run = context.runner.run(&launch(context, &program, "version.dll").arg("with-module"))?;
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

/// Wine gives a program the DLL beside it only if told so.
fn launch(context: &Context<'_>, program: &Path, dll: &str) -> Launch {
    let launch = Launch::new(program);
    if !context.is_wine {
        return launch;
    }
    let own = dll.trim_end_matches(".dll").to_owned() + "=n,b";
    let overrides = std::env::var("WINEDLLOVERRIDES").unwrap_or_default();
    launch.env("WINEDLLOVERRIDES", [overrides, own].join(";"))
}
