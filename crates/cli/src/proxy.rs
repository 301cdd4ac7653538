//! `allograft proxy`: writes a DLL that a program loads instead of one of the system's. Works on
//! any host.

use crate::error::Error;
use crate::module_copy::{self, ModuleCopy};
use allograft_image::{
    Export, Image, ImageFile, Machine, build_proxy, is_proxy, known_exports, known_names, summary,
};
use clap::{Args, ValueEnum};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct ProxyArgs {
    /// The system DLL to stand in for: version.dll, winmm.dll, winhttp.dll, dinput8.dll, dxgi.dll
    /// or d3d11.dll; on Windows any that exports functions only, elsewhere any other with --from
    #[arg(long = "as", value_name = "NAME", value_parser = dll_name)]
    pub name: String,
    /// The folder to write it to: that of the program
    #[arg(long, value_name = "FOLDER")]
    pub into: PathBuf,
    /// Read from FILE what the DLL exports
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub from: Option<PathBuf>,
    /// The programs it is for [default: those in FOLDER, or those that FILE is for]
    #[arg(long, value_enum, conflicts_with_all = ["remove", "from"])]
    pub machine: Option<ProxyFor>,
    /// Remove the proxy again
    #[arg(long)]
    pub remove: bool,
}

/// The machines that a user can choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ProxyFor {
    /// 32-bit programs
    X86,
    /// 64-bit programs
    #[value(name = "x86-64")]
    X64,
}

pub const PROXY_MANUAL: &str = "\
Windows gives a program the DLL of its own folder, where there is one, rather than the system's of the
same name. The proxy is such a DLL: it loads allograft.dll (allograft32.dll in 32-bit programs) from its
folder, and passes every call on to the system's DLL. So the program runs on mimalloc however it is started, and none of its files change.

Choose a DLL that the program loads and does not bring along: `allograft patch --list PROGRAM` shows what
it imports. The module is put beside the proxy if it is not there. Settings are read from an allograft.ini
beside the module ([allograft] heap=, log=, report=, exact_sizes=), or from the environment.

Under Wine a program gets its own DLL only if told so: WINEDLLOVERRIDES=version=n,b (for version.dll).
Do not do this to an online game with anti-cheat software: it may get the account banned.

Examples:
      allograft proxy --as version.dll --into C:\\Games\\Game
      allograft proxy --as version.dll --into C:\\Games\\Game --remove
      allograft proxy --as dbghelp.dll --from C:\\Windows\\System32\\dbghelp.dll --into .

Exit codes:
  0    written or removed; or it was already, which is said
  125  it was not; one line on standard error says why. A file of another maker is never overwritten
       or removed";

/// Writes the proxy, or removes it. Returns the exit code. A file of another maker stays as it is.
pub fn run(args: &ProxyArgs) -> Result<u32, Error> {
    let path = args.into.join(&args.name);
    if args.remove {
        remove(&path)?;
    } else {
        write(&path, args)?;
    }
    Ok(0)
}

fn write(path: &Path, args: &ProxyArgs) -> Result<(), Error> {
    let (exports, machine) = match &args.from {
        Some(from) => read_dll(from).map_err(|error| Error::file(from, error))?,
        None => {
            let machine = machine_for(args)?;
            (exports_of(&args.name, machine)?, machine)
        }
    };
    let module = module_name(machine);
    let bytes = build_proxy(machine, &args.name, module, &exports)
        .map_err(|error| Error::file(args.from.as_deref().unwrap_or(path), error))?;
    let shown = path.display();
    if present(path)?.is_some_and(|there| there == bytes) {
        println!("{shown} is there already");
    } else {
        write_whole(path, &bytes)?;
        println!(
            "wrote {shown}: in {machine} programs it loads {module} and passes {} exports on to the system's {}",
            exports.len(),
            args.name
        );
    }
    for program in programs_that_pass_it_over(&args.into) {
        eprintln!(
            "allograft: {} was linked with /DEPENDENTLOADFLAG: Windows does not look into its folder for what it imports, and it loads the proxy only if it loads {} while it runs",
            program.display(),
            args.name
        );
    }
    bring_module(module, &args.into)
}

/// The file name of the module that a proxy for `machine` loads.
fn module_name(machine: Machine) -> &'static str {
    // A machine without a module has no proxies either: building one fails with the reason.
    machine.module_name().unwrap_or("allograft.dll")
}

/// What the DLL to stand in for exports, and its machine.
fn read_dll(from: &Path) -> allograft_image::Result<(Vec<Export>, Machine)> {
    let file = ImageFile::open(from)?;
    let image = Image::parse(file.data())?;
    Ok((image.exports()?, image.headers().machine))
}

/// What the system's DLL exports, as far as it is known: what the present system's has, and what
/// those of other releases have, which the program may run on later.
fn exports_of(name: &str, machine: Machine) -> Result<Vec<Export>, Error> {
    match (exports_of_system(name, machine), known_exports(name)) {
        (Some(system), Some(known)) => Ok(merged(system, known)),
        (Some(exports), None) | (None, Some(exports)) => Ok(exports),
        (None, None) => {
            let known: Vec<&str> = known_names().collect();
            Err(Error::new(format!(
                "what {name} exports is known for {} only: name the DLL itself with --from FILE",
                known.join(", ")
            )))
        }
    }
}

/// What the present system's DLL exports; none on other systems, or if there is no such DLL whose
/// exports can all be passed on.
fn exports_of_system(name: &str, machine: Machine) -> Option<Vec<Export>> {
    #[cfg(windows)]
    let folder = crate::windows::process::system_folder(machine);
    #[cfg(not(windows))]
    let folder: Option<PathBuf> = None;
    let (exports, its_machine) = read_dll(&folder?.join(name)).ok()?;
    let is_usable = its_machine == machine && exports.iter().all(|export| export.is_code);
    is_usable.then_some(exports)
}

/// `system` with the exports of `known` that it lacks. Those of the system keep their numbers; a
/// name that only other releases have gets a free number if its own is taken.
fn merged(system: Vec<Export>, known: Vec<Export>) -> Vec<Export> {
    let names: HashSet<_> = system.iter().filter_map(|export| export.name.clone()).collect();
    let mut taken: HashSet<u16> = system.iter().map(|export| export.ordinal).collect();
    let mut exports = system;
    for mut export in known {
        let is_taken = taken.contains(&export.ordinal);
        let is_there = export.name.as_ref().map_or(is_taken, |name| names.contains(name));
        if is_there {
            continue;
        }
        if is_taken {
            let free = (1..u16::MAX).find(|number| !taken.contains(number));
            let Some(free) = free else { continue };
            export.ordinal = free;
        }
        taken.insert(export.ordinal);
        exports.push(export);
    }
    exports.sort_by_key(|export| export.ordinal);
    exports
}

/// The programs in `folder` that would not load a proxy there for a DLL that they import.
fn programs_that_pass_it_over(folder: &Path) -> Vec<PathBuf> {
    let passes_over = |path: &PathBuf| {
        ImageFile::open(path).is_ok_and(|file| {
            Image::parse(file.data()).is_ok_and(|image| {
                !image.headers().is_dll() && !image.finds_imports_beside_program()
            })
        })
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(passes_over).collect()
}

/// The machine that the user chooses, or else that of the programs in the folder, or else x86-64.
fn machine_for(args: &ProxyArgs) -> Result<Machine, Error> {
    match args.machine {
        Some(ProxyFor::X86) => return Ok(Machine::X86),
        Some(ProxyFor::X64) => return Ok(Machine::X64),
        None => {}
    }
    let machines = machines_in(&args.into);
    match machines[..] {
        [] => Ok(Machine::X64),
        [first, ..] if machines.iter().all(|&machine| machine == first) => Ok(first),
        _ => Err(Error::file(
            &args.into,
            "the programs in it are not all of one bitness: say with --machine which ones the proxy is for",
        )),
    }
}

/// The machines of the programs in `folder` that proxies can be made for.
fn machines_in(folder: &Path) -> Vec<Machine> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| summary(&entry.path()).ok())
        .filter(|image| !image.is_dll)
        .map(|image| image.machine)
        .filter(|machine| matches!(machine, Machine::X86 | Machine::X64))
        .collect()
}

fn remove(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let Some(proxy) = present(path)? else {
        println!("{shown} is not there: nothing to remove");
        return Ok(());
    };
    let machine = Image::parse(&proxy).map(|image| image.headers().machine);
    fs::remove_file(path)
        .map_err(|source| Error::file(path, format_args!("cannot remove it: {source}")))?;
    println!("removed {shown}");
    let module = module_name(machine.unwrap_or(Machine::X64));
    if path.with_file_name(module).exists() {
        println!("{module} stays beside it: remove it too if nothing else loads it");
    }
    Ok(())
}

/// The proxy that is at `path`, if there is one. Anything else there is an error.
fn present(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) if is_proxy(&bytes) => Ok(Some(bytes)),
        Ok(_) => Err(Error::file(
            path,
            "it was not made by allograft, and is left as it is: choose another DLL to stand in for",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, format_args!("cannot read what is there: {error}"))),
    }
}

/// Writes the file whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let result = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|error| {
        // The temporary file may never have come to be; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        Error::file(path, format_args!("cannot write it: {error}"))
    })
}

/// Copies the `module` from beside this program to `folder` if it is not there; says so if it
/// cannot be had.
fn bring_module(module: &str, folder: &Path) -> Result<(), Error> {
    match module_copy::bring(module, folder)? {
        ModuleCopy::WasThere => {}
        ModuleCopy::Copied => println!("copied {module} beside it"),
        ModuleCopy::Missing => eprintln!(
            "allograft: put {module} into {}: without it the program runs as before",
            folder.display()
        ),
    }
    Ok(())
}

/// A file name of a DLL; `.dll` may be left off.
fn dll_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '\\', ':']) {
        return Err("the name of a DLL without its folder is wanted, such as version.dll".into());
    }
    Ok(if text.contains('.') { text.to_owned() } else { format!("{text}.dll") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_image::ImageSpec;

    const MODULE: &str = "allograft.dll";

    fn args(folder: &Path, name: &str) -> ProxyArgs {
        ProxyArgs {
            name: name.to_owned(),
            into: folder.to_path_buf(),
            from: None,
            machine: None,
            remove: false,
        }
    }

    fn refusal(args: &ProxyArgs) -> String {
        run(args).unwrap_err().to_string()
    }

    fn folder_with_module() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MODULE), "a module").unwrap();
        folder
    }

    #[test]
    fn a_proxy_is_written_again_and_removed() {
        let folder = folder_with_module();
        let mut args = args(folder.path(), "version.dll");
        let path = folder.path().join("version.dll");
        for _ in 0..2 {
            run(&args).unwrap();
            assert!(is_proxy(&fs::read(&path).unwrap()));
        }
        args.remove = true;
        for _ in 0..2 {
            run(&args).unwrap();
            assert!(!path.exists());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_another_maker_is_neither_overwritten_nor_removed() {
        let folder = folder_with_module();
        let path = folder.path().join("winmm.dll");
        fs::write(&path, "MZ: somebody's own").unwrap();
        for remove in [false, true] {
            let args = ProxyArgs { remove, ..args(folder.path(), "winmm.dll") };
            let line = refusal(&args);
            assert!(line.contains("winmm.dll: it was not made by allograft"), "{line}");
            assert_eq!(fs::read(&path).unwrap(), b"MZ: somebody's own");
        }
    }

    fn add_program(folder: &Path, name: &str, machine: Machine) {
        let program = ImageSpec { machine, ..ImageSpec::default() };
        fs::write(folder.join(name), program.build()).unwrap();
    }

    #[test]
    fn a_proxy_is_for_the_programs_in_its_folder() {
        for machine in [Machine::X86, Machine::X64] {
            let folder = folder_with_module();
            add_program(folder.path(), "a.exe", machine);
            run(&args(folder.path(), "version.dll")).unwrap();
            assert_eq!(summary(&folder.path().join("version.dll")).unwrap().machine, machine);
        }
    }

    #[test]
    fn programs_of_both_bitnesses_take_a_choice() {
        let folder = folder_with_module();
        add_program(folder.path(), "a.exe", Machine::X86);
        add_program(folder.path(), "b.exe", Machine::X64);
        let mut args = args(folder.path(), "version.dll");
        let line = refusal(&args);
        assert!(line.contains("--machine"), "{line}");
        args.machine = Some(ProxyFor::X86);
        run(&args).unwrap();
        assert_eq!(summary(&folder.path().join("version.dll")).unwrap().machine, Machine::X86);
    }

    #[test]
    fn a_dll_for_a_machine_without_proxies_is_refused() {
        let folder = folder_with_module();
        let model = folder.path().join("model");
        let image = ImageSpec { machine: Machine::Arm64, ..ImageSpec::default() };
        fs::write(&model, image.build()).unwrap();
        let line = refusal(&ProxyArgs { from: Some(model), ..args(folder.path(), "version.dll") });
        assert!(line.contains("not for ARM64"), "{line}");
    }

    #[test]
    fn a_dll_that_is_not_known_is_read_from_a_file() {
        let folder = folder_with_module();
        let mut args = args(folder.path(), "no-systems-own.dll");
        let line = refusal(&args);
        assert!(line.contains("--from FILE"), "{line}");
        // A proxy is as good a DLL as any other to read exports from.
        let model = folder.path().join("model");
        let exports = known_exports("dxgi.dll").unwrap();
        let dll = build_proxy(Machine::X86, "x.dll", MODULE, &exports).unwrap();
        fs::write(&model, dll).unwrap();
        args.from = Some(model);
        run(&args).unwrap();
        let (written, _) = read_dll(&folder.path().join("no-systems-own.dll")).unwrap();
        assert_eq!(written.len(), exports.len());
    }

    #[test]
    fn exports_that_only_other_releases_have_are_added_to_the_systems() {
        let export = |ordinal, name: Option<&str>| Export {
            ordinal,
            name: name.map(str::to_owned),
            is_code: true,
        };
        let system = vec![export(1, Some("new")), export(2, Some("old")), export(3, None)];
        let known = vec![
            export(2, None),
            export(1, Some("old")),
            export(3, Some("gone")),
            export(7, Some("rare")),
        ];
        let expected = [
            export(1, Some("new")),
            export(2, Some("old")),
            export(3, None),
            export(4, Some("gone")),
            export(7, Some("rare")),
        ];
        assert_eq!(merged(system, known), expected);
    }

    #[test]
    fn programs_that_do_not_look_into_their_folder_are_named() {
        let folder = folder_with_module();
        add_program(folder.path(), "a.exe", Machine::X64);
        let limited = ImageSpec { load_flags: Some(0x0800), ..ImageSpec::default() };
        let path = folder.path().join("b.exe");
        fs::write(&path, limited.build()).unwrap();
        assert_eq!(programs_that_pass_it_over(folder.path()), [path]);
    }

    #[test]
    fn a_name_is_a_file_name_and_may_lack_its_extension() {
        assert_eq!(dll_name("version").unwrap(), "version.dll");
        assert_eq!(dll_name("a.drv").unwrap(), "a.drv");
        assert!(dll_name("C:\\version.dll").is_err());
    }
}
