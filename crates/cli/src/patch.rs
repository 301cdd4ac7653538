//! `allograft patch`: puts the module first in the import table of programs and DLLs, on any host.

mod copy;
mod outcome;
mod output;
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::module_copy::{self, ModuleCopy};
use crate::output::{pretty_json, print_with_refusals};
use allograft_image::{Image, ImageFile, PatchState, check, patch, patch_state, undo};
use clap::Args;
pub use copy::patched_copy_of;
use outcome::{Action, ListedImport, PatchOutcome};
use output::Output;
pub use output::path_beside;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct PatchArgs {
    /// The programs and DLLs to patch
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// List what the images import, in order, with the C runtimes marked; change nothing
    #[arg(long, conflicts_with_all = ["undo", "in_place", "output", "dry_run", "force", "module"])]
    pub list: bool,
    /// Patch the image itself, and keep the original as IMAGE.bak
    #[arg(long = "inplace", alias = "in-place", conflicts_with = "output")]
    pub in_place: bool,
    /// Take the module out again: gives back the original, byte for byte, without needing the
    /// backup; or, if it has a patched copy beside it, deletes the copy
    #[arg(long)]
    pub undo: bool,
    /// Write the result to FILE, or into it if it is a folder [default: NAME-allograft.exe beside
    /// the image; with --undo, the image itself]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The module's file name [default: allograft.dll, allograft32.dll or allograft-arm64.dll, by
    /// the image's machine]
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
    /// Copy the module too from beside this program, if it is not beside the result
    #[arg(long, conflicts_with_all = ["list", "undo"])]
    pub with_module: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Patch even if that does nothing or the image is packed, undo even if it was changed since,
    /// overwrite the output
    #[arg(long, short)]
    pub force: bool,
    /// Answer in JSON, one object for each image
    #[arg(long)]
    pub json: bool,
}

pub const PATCH_MANUAL: &str = "\
The patched program loads the module before everything else it imports, and so runs on
mimalloc without a launcher. Put the module beside it: without it the program does not start.
Works on every system, for x86, x86-64 and ARM64 images alike.

Nothing in the image moves, so resources, .NET code, guard tables and appended data stay as
they are. Settings are read from an allograft.ini beside the module ([allograft] heap=, log=,
report=, exact_sizes=), or from the environment. An Authenticode signature cannot survive; --undo brings it back. Do not patch programs
guarded by anti-cheat software: it may get the account banned (`allograft check` looks for it).

Examples:
      allograft patch z3.exe                      writes z3-allograft.exe
      allograft patch --inplace game.exe          patches game.exe and keeps game.exe.bak
      allograft patch --undo game.exe             makes it what it was, or deletes game-allograft.exe
      allograft patch --list game.exe engine.dll  what they import

Exit codes:
  0    done; or it was done already, which is said
  125  at least one image was refused; one line on standard error for each says why";

/// Patches, lists or restores every image of `args`. Returns the exit code. An image that is
/// refused is reported on standard error and does not stop the others.
pub fn run(args: &PatchArgs) -> Result<u32, Error> {
    if args.images.len() > 1 && args.output.as_deref().is_some_and(|output| !output.is_dir()) {
        return Err(Error::new("--output must name a folder where there is more than one image"));
    }
    let outcomes: Vec<PatchOutcome> =
        args.images.iter().map(|path| outcome_of(path, args)).collect();
    let text = match args.json {
        true => pretty_json(&outcomes)?,
        false => outcomes.iter().map(PatchOutcome::to_string).collect(),
    };
    let refusals = outcomes.iter().filter_map(|outcome| {
        outcome.error.as_deref().map(|error| (outcome.image.as_path(), error))
    });
    print_with_refusals(&text, refusals)
}

fn outcome_of(path: &Path, args: &PatchArgs) -> PatchOutcome {
    let action = match (args.list, args.undo) {
        (true, _) => Action::Listed,
        (_, true) => Action::Undone,
        _ => Action::Patched,
    };
    let new = |action| PatchOutcome { image: path.to_owned(), action, ..PatchOutcome::default() };
    let mut outcome = new(action);
    match carry_out(&mut outcome, args) {
        Ok(()) => outcome,
        Err(error) => PatchOutcome { error: Some(error.to_string()), ..new(Action::Refused) },
    }
}

fn carry_out(outcome: &mut PatchOutcome, args: &PatchArgs) -> Result<(), Error> {
    if outcome.action == Action::Undone
        && args.output.is_none()
        && let Some(copy) = copy::removable(&outcome.image, args.force)?
    {
        return delete(copy, outcome, args.dry_run);
    }
    let Some(mut output) = prepare(outcome, args)? else {
        let image = outcome.image.clone();
        return bring_module(outcome, args, &image);
    };
    outcome.dry_run = args.dry_run;
    outcome.backup = output.finish(args.dry_run)?;
    if output.is_there_already {
        outcome.action = Action::AlreadyPatched;
    }
    bring_module(outcome, args, &output.path)?;
    outcome.output = Some(output.path);
    Ok(())
}

/// Copies the module beside `result`, if that is asked for.
fn bring_module(outcome: &mut PatchOutcome, args: &PatchArgs, result: &Path) -> Result<(), Error> {
    if let (true, Some(module), Some(folder)) =
        (args.with_module && !args.dry_run, &outcome.module, result.parent())
    {
        outcome.module_copied = module_copy::bring(module, folder)? == ModuleCopy::Copied;
    }
    Ok(())
}

fn delete(copy: PathBuf, outcome: &mut PatchOutcome, dry_run: bool) -> Result<(), Error> {
    if !dry_run {
        output::remove(&copy)?;
    }
    outcome.dry_run = dry_run;
    outcome.action = Action::CopyDeleted;
    let machine = allograft_image::summary(&outcome.image)?.machine;
    outcome.module = machine.module_name().map(str::to_owned);
    outcome.output = Some(copy);
    Ok(())
}

/// Does what needs the image, and returns the result that is to be moved to its place, if any. By
/// then the image is no longer mapped: Windows does not replace a mapped file.
fn prepare(outcome: &mut PatchOutcome, args: &PatchArgs) -> Result<Option<Output>, Error> {
    let file = ImageFile::open(&outcome.image)?;
    let image = Image::parse(file.data())?;
    match outcome.action {
        Action::Listed => list(&image, outcome).map(|()| None),
        Action::Undone => prepare_original(&image, outcome, args).map(Some),
        _ => prepare_patched(&image, outcome, args),
    }
}

fn list(image: &Image<'_>, outcome: &mut PatchOutcome) -> Result<(), Error> {
    let modules = image.imports()?.into_iter();
    let imports = modules.map(|module| ListedImport::new(image, module));
    outcome.imports = Some(imports.collect::<allograft_image::Result<_>>()?);
    outcome.machine = Some(image.headers().machine);
    Ok(())
}

fn prepare_original(
    image: &Image<'_>,
    outcome: &mut PatchOutcome,
    args: &PatchArgs,
) -> Result<Output, Error> {
    let restored = undo(image, args.force)?;
    let mut output = match &args.output {
        Some(output) => Output::file(&outcome.image, output, args.force)?,
        None => Output::in_place(&outcome.image, false),
    };
    output.prepare(&restored.pieces(), args.dry_run, |_| Ok(()))?;
    outcome.notes = restored.notes;
    Ok(output)
}

/// Returns `None` if the module is first already.
fn prepare_patched(
    image: &Image<'_>,
    outcome: &mut PatchOutcome,
    args: &PatchArgs,
) -> Result<Option<Output>, Error> {
    let machine = image.headers().machine;
    let module = args.module.as_deref().or(machine.module_name()).ok_or_else(|| {
        Error::new(format!(
            "made for {machine}, for which there is no module: name one with --module"
        ))
    })?;
    outcome.machine = Some(machine);
    outcome.module = Some(module.to_owned());
    let (bytes, undone);
    let original = match patch_state(image, module)? {
        PatchState::Unpatched => image,
        PatchState::Patched { module: old } if !old.eq_ignore_ascii_case(module) => {
            bytes = undo(image, args.force)?.to_vec();
            undone = Image::parse(&bytes)?;
            &undone
        }
        PatchState::Patched { .. } | PatchState::ImportsFirst => {
            outcome.action = Action::AlreadyPatched;
            return Ok(None);
        }
    };
    let path = &outcome.image;
    if !args.force {
        refuse_if_useless(path, original)?;
    }
    let patched = patch(original, module, args.force)?;
    let pieces = patched.pieces();
    let mut output = match &args.output {
        _ if args.in_place => Output::in_place(path, true),
        Some(output) => Output::file(path, output, args.force)?,
        None => Output::beside(path, &pieces, args.force)?,
    };
    output.prepare(&pieces, args.dry_run, |written| Ok(patched.check(written)?))?;
    outcome.notes = patched.notes.clone();
    outcome.anti_cheats = check::anti_cheats_near(&outcome.image);
    Ok(Some(output))
}

fn refuse_if_useless(path: &Path, image: &Image<'_>) -> Result<(), Error> {
    // A packed image is refused as such, with what to do about it.
    if allograft_image::packer_of(image.headers()).is_some() {
        return Ok(());
    }
    match check::nothing_to_take_over(path, image)? {
        Some(reason) => Err(Error::new(format!(
            "{reason}; patching would do nothing (--force patches it all the same)"
        ))),
        None => Ok(()),
    }
}
