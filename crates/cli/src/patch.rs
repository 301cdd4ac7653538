//! `allograft patch`: puts the module first in the import table of programs and DLLs, on any host.

mod outcome;
mod output;
#[cfg(test)]
mod tests;

use crate::error::Error;
use allograft_image::{
    Image, ImageFile, Machine, Note, PatchState, check, patch, patch_state, undo,
};
use clap::Args;
use outcome::{Action, ListedImport, PatchOutcome};
use output::{Destination, Pending, Refusal};
use std::path::{Path, PathBuf};

/// Arguments of `allograft patch`.
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
    /// backup
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

/// What `allograft patch --help` says behind the options.
pub const PATCH_MANUAL: &str = "\
The patched program loads the module before everything else it imports, and so runs on
mimalloc without a launcher. Put the module beside it: without it the program does not start.
Works on every system, for x86, x86-64 and ARM64 images alike.

Nothing in the image moves, so resources, .NET code, guard tables and appended data stay as
they are. An Authenticode signature cannot survive; --undo brings it back. Do not patch programs
guarded by anti-cheat software: it may get the account banned (`allograft check` looks for it).

Examples:
      allograft patch z3.exe                      writes z3-allograft.exe
      allograft patch --inplace game.exe          patches game.exe and keeps game.exe.bak
      allograft patch --undo game.exe             makes it what it was
      allograft patch --list game.exe engine.dll  what they import

Exit codes:
  0    done; or it was done already, which is said
  125  at least one image was refused; one line on standard error for each says why";

/// Patches, lists or restores every image of `args`. Returns the exit code.
///
/// # Errors
///
/// If the answer cannot be printed. An image that is refused is reported on standard error and does
/// not stop the others.
pub fn run(args: &PatchArgs) -> Result<u32, Error> {
    if args.images.len() > 1 && args.output.as_deref().is_some_and(|output| !output.is_dir()) {
        return Err(Error::new("--output must name a folder where there is more than one image"));
    }
    let outcomes: Vec<PatchOutcome> =
        args.images.iter().map(|path| outcome_of(path, args)).collect();
    let has_failed = outcomes.iter().any(|outcome| outcome.action == Action::Refused);
    outcome::print(&outcomes, args.json)?;
    Ok(if has_failed { 125 } else { 0 })
}

fn outcome_of(path: &Path, args: &PatchArgs) -> PatchOutcome {
    let result = if args.list {
        listed(path)
    } else if args.undo {
        undone(path, args)
    } else {
        patched(path, args)
    };
    result.unwrap_or_else(|refusal| PatchOutcome::refused(path, refusal))
}

/// Lists what the image at `path` imports.
fn listed(path: &Path) -> Result<PatchOutcome, Refusal> {
    let file = ImageFile::open(path).map_err(line)?;
    let image = Image::parse(file.data()).map_err(line)?;
    let modules = image.imports().map_err(line)?.into_iter();
    let imports: allograft_image::Result<_> =
        modules.map(|module| ListedImport::new(&image, module)).collect();
    Ok(PatchOutcome {
        machine: Some(image.headers().machine),
        imports: Some(imports.map_err(line)?),
        ..PatchOutcome::new(path, Action::Listed)
    })
}

/// Takes the module out of the image at `path`.
fn undone(path: &Path, args: &PatchArgs) -> Result<PatchOutcome, Refusal> {
    // The image is no longer mapped when this returns: a mapped file cannot be replaced.
    let (pending, notes) = prepare_original(path, args)?;
    Ok(PatchOutcome { notes, ..PatchOutcome::written(path, Action::Undone, pending.finish()?) })
}

fn prepare_original(path: &Path, args: &PatchArgs) -> Result<(Pending, Vec<Note>), Refusal> {
    let file = ImageFile::open(path).map_err(line)?;
    let image = Image::parse(file.data()).map_err(line)?;
    let restored = undo(&image, args.force).map_err(line)?;
    let destination = match &args.output {
        Some(output) => Destination::file(path, output, args.force)?,
        None => Destination::in_place(path, false),
    };
    let pending = destination.prepare(&restored.pieces(), args.dry_run, |_| Ok(()))?;
    Ok((pending, restored.notes))
}

/// Puts the module first in the image at `path`.
fn patched(path: &Path, args: &PatchArgs) -> Result<PatchOutcome, Refusal> {
    // The image is no longer mapped when this returns: a mapped file cannot be replaced.
    let Prepared { machine, module, patched } = prepare_patched(path, args)?;
    let outcome = match patched {
        Some((pending, notes)) => PatchOutcome {
            notes,
            anti_cheats: check::anti_cheats_near(path),
            ..PatchOutcome::written(path, Action::Patched, pending.finish()?)
        },
        None => PatchOutcome::new(path, Action::AlreadyPatched),
    };
    Ok(PatchOutcome { machine: Some(machine), module: Some(module), ..outcome })
}

/// The new image, written and read back.
struct Prepared {
    machine: Machine,
    module: String,
    /// `None` if the module is first already.
    patched: Option<(Pending, Vec<Note>)>,
}

fn prepare_patched(path: &Path, args: &PatchArgs) -> Result<Prepared, Refusal> {
    let file = ImageFile::open(path).map_err(line)?;
    let image = Image::parse(file.data()).map_err(line)?;
    let machine = image.headers().machine;
    let module = args.module.as_deref().or(machine.module_name()).ok_or_else(|| {
        format!("made for {machine}, for which there is no module: name one with --module")
    })?;
    let patched = match patch_state(&image, module).map_err(line)? {
        PatchState::Patched { module: old } if !old.eq_ignore_ascii_case(module) => {
            let original = undo(&image, args.force).map_err(line)?.to_vec();
            let original = Image::parse(&original).map_err(line)?;
            Some(prepare_from(&original, path, module, args)?)
        }
        PatchState::Patched { .. } | PatchState::ImportsFirst => None,
        PatchState::Unpatched => Some(prepare_from(&image, path, module, args)?),
    };
    Ok(Prepared { machine, module: module.to_owned(), patched })
}

fn prepare_from(
    original: &Image<'_>,
    path: &Path,
    module: &str,
    args: &PatchArgs,
) -> Result<(Pending, Vec<Note>), Refusal> {
    if !args.force {
        refuse_if_useless(path, original)?;
    }
    let patched = patch(original, module, args.force).map_err(line)?;
    let pieces = patched.pieces();
    let destination = match &args.output {
        _ if args.in_place => Destination::in_place(path, true),
        Some(output) => Destination::file(path, output, args.force)?,
        None => Destination::beside(path, &pieces, args.force)?,
    };
    let check = |written: &[u8]| patched.check(written).map_err(line);
    let pending = destination.prepare(&pieces, args.dry_run, check)?;
    Ok((pending, patched.notes.clone()))
}

fn refuse_if_useless(path: &Path, image: &Image<'_>) -> Result<(), Refusal> {
    // A packed image is refused as such, with what to do about it.
    if allograft_image::packer_of(image.headers()).is_some() {
        return Ok(());
    }
    match check::nothing_to_take_over(path, image).map_err(line)? {
        Some(reason) => {
            Err(format!("{reason}; patching would do nothing (--force patches it all the same)"))
        }
        None => Ok(()),
    }
}

fn line(error: allograft_image::Error) -> Refusal {
    error.to_string()
}
