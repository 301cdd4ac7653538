//! `cargo xtask docs --record`: the picture of the front page, which is what `allograft bench`
//! printed.

use std::path::Path;
use std::time::Duration;

use allograft_tests::X64;
use allograft_tests::inputs::{badly_formatted_source, folder_with};
use anstyle_svg::Term;
use anyhow::{Result, bail};

use crate::cargo::WindowsBuild;
use crate::crt;
use crate::files::write;
use crate::setup::{self, Request};
use crate::stage::{self, Parts};
use crate::step::Step;

const COMMAND: &str = "allograft bench --runs 8 -- clang-format.exe source.cpp";

/// Long enough on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(1200);

/// Measures a real program, and writes what was printed to `picture` as a picture of a terminal.
pub fn record(picture: &Path) -> Result<()> {
    let environment = setup::run(&Request::everything(crt::default()))?;
    let build = WindowsBuild::new(environment.rust, &X64);
    let stage = stage::build(&environment, build, &Parts::none())?;
    let _servers = environment.keep_wine_alive();
    let folder = folder_with(std::slice::from_ref(&stage.real.clang_format));
    write(&folder.path().join("source.cpp"), &badly_formatted_source(800))?;
    let step = Step::begin(format!("recording `{COMMAND}`"));
    let arguments: Vec<&str> = COMMAND.split(' ').skip(1).collect();
    let run = stage.launcher().args(&arguments).directory(folder.path()).limit(LIMIT).run();
    step.done();
    if run.code != Some(0) {
        bail!("nothing was recorded: {run}");
    }
    let printed = format!("\x1b[1m> {COMMAND}\x1b[0m\n{}", run.stdout);
    write(picture, &Term::new().render_svg(&printed))
}
