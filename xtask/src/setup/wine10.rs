//! Wine 10, of Debian's next release: nearer to Windows 11 than Wine 8, and a second opinion.
//!
//! Its packages are unpacked in the cache, with the libraries of that release that it needs. Each
//! of its programs is started with these in the place of the system's, in a mount namespace of its
//! own: the system keeps its files, and nothing is left to undo, however a run ends. Mounting takes
//! root.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::debian::Archive;
use crate::files::{make_folder, publish, write_script};
use crate::layout;
use crate::step::Step;
use crate::wine::{self, Wine};

const ARCHIVE: Archive = Archive { architectures: &["amd64", "i386"], release: Some("trixie") };

/// Wine's own packages; the last has a DLL that Wine's import.
const WINE: [&str; 5] = ["libwine", "wine64", "libwine:i386", "wine32:i386", "libz-mingw-w64"];

/// What they need to run console programs and windows, in both architectures.
const LIBRARIES: [&str; 16] = [
    "libc6",
    "libgcc-s1",
    "libunwind8",
    "liblzma5",
    "zlib1g",
    "libfreetype6",
    "libpng16-16t64",
    "libbz2-1.0",
    "libbrotli1",
    "libfontconfig1",
    "libexpat1",
    "libx11-6",
    "libxext6",
    "libxcb1",
    "libxau6",
    "libxdmcp6",
];

/// MinGW's zlib, and the folders of Wine's DLLs into which the package's installation copies it.
const ZLIB: [(&str, &str); 4] = [
    ("x86_64-w64-mingw32", "x86_64-linux-gnu/wine/x86_64-windows"),
    ("x86_64-w64-mingw32", "i386-linux-gnu/wine/x86_64-windows"),
    ("i686-w64-mingw32", "x86_64-linux-gnu/wine/i386-windows"),
    ("i686-w64-mingw32", "i386-linux-gnu/wine/i386-windows"),
];

/// By these bytes, at this offset, Wine knows a DLL as its own.
const OWN_DLL: &[u8; 32] = b"Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const OWN_DLL_AT: usize = 0x40;

/// Wine 10, downloaded if need be. The error is why it cannot be had.
pub fn complete() -> Result<Wine> {
    let folder = layout::cache()?.join("wine-10");
    let wine = Wine {
        loader: folder.join("wine64"),
        server: folder.join("wineserver"),
        is_whole: true,
        prefixes: layout::target().join("wine-10"),
    };
    if !folder.is_dir() {
        let step = Step::begin("set-up: downloading Wine 10 from Debian's next release (1.4 GB)");
        let partial = layout::partial(&folder);
        fill(&partial)
            .and_then(|()| publish(&partial, &folder, || wine.loader.is_file()))
            .inspect_err(|_| {
                fs::remove_dir_all(&partial).ok();
            })?;
        step.done();
    }
    wine.version().context("starting Wine 10 with its libraries in the place of the system's")?;
    Ok(wine)
}

fn fill(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    let root = folder.join("root");
    let mut packages = [&WINE[..], &LIBRARIES].concat().into_iter().map(str::to_owned).collect();
    Vec::extend(&mut packages, LIBRARIES.map(|name| format!("{name}:i386")));
    ARCHIVE.unpack(&packages, &root, &folder.join("scratch"))?;
    for (from, to) in ZLIB {
        let mut dll = fs::read(root.join("usr").join(from).join("lib/zlib1.dll"))?;
        dll[OWN_DLL_AT..OWN_DLL_AT + OWN_DLL.len()].copy_from_slice(OWN_DLL);
        fs::write(root.join("usr/lib").join(to).join("zlib1.dll"), dll)?;
    }
    for (name, file) in [("wine64", "wine64"), ("wineserver", "wineserver64")] {
        write_script(&folder.join(name), &script(file))?;
    }
    Ok(())
}

/// Starts a program of Wine's. The libraries are mounted last: from then on, only programs of the
/// other release can be started.
fn script(program: &str) -> String {
    format!(
        "#!/bin/sh\n\
         export WINESERVER=/usr/lib/wine/wineserver64\n\
         exec {}unshare --mount sh -c '\n\
         for folder in share/wine lib; do\n    \
             mount --bind \"$0/usr/$folder\" \"/usr/$folder\" || exit 125\n\
         done\n\
         exec /usr/lib/wine/{program} \"$@\"' \"${{0%/*}}/root\" \"$@\"\n",
        wine::at_fixed_addresses()
    )
}
