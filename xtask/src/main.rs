//! The project's own commands, run as `cargo xtask …`: they set the machine up, build the Windows
//! code, show it at work, test it and lay out what a user downloads.

mod bench;
mod cargo;
mod changelog;
mod commit;
mod crt;
mod demo;
mod dist;
mod files;
#[path = "../../crates/heap/flags.rs"]
mod flags;
mod layout;
mod mimalloc;
mod msvc;
mod picture;
mod programs;
mod redirect;
mod setup;
mod site;
mod stage;
mod step;
mod test;
mod tools;
mod wine;
mod workflows;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use allograft_tests::X64;
use allograft_tests::conformance::Subject;
use allograft_tests::stress::StressOptions;
use cargo::WindowsBuild;
use clap::{Args, Parser, Subcommand};
use redirect::KitOptions;
use setup::{Request, SiteGenerator};
use stage::Parts;

/// Sets up, builds, shows and tests allograft.
///
/// Every command does the set-up that it needs by itself. Downloads are kept in $ALLOGRAFT_CACHE,
/// else in $XDG_CACHE_HOME/allograft, else in ~/.cache/allograft; everything else lies in the
/// target folder.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install and download what building and testing need; does nothing where all of it is there.
    ///
    /// ALLOGRAFT_RUST=distribution takes the Rust compiler of the distribution for the Windows
    /// code, even where rustup has the Windows target.
    Setup {
        /// Make a Wine prefix for each known version of Microsoft's C runtime, not only for the
        /// oldest and the newest.
        #[arg(long)]
        all_crts: bool,
    },
    /// Build the module, the launcher and the test programs for Windows.
    Build(BuildOptions),
    /// Run real programs without and with allograft, and compare.
    Demo,
    /// Build the documents as a site, in `target/site`. A link that leads nowhere is an error.
    Docs,
    /// Check and test everything.
    Test {
        /// Let the tests that have a long form run in it (sets ALLOGRAFT_LONG=1 for them).
        #[arg(long)]
        long: bool,
        /// Run the scenarios with the debug variant of the module: unoptimised, with mimalloc's
        /// own checks, and with a count of blocks that reach the system's heap, which must be 0.
        #[arg(long)]
        debug: bool,
        /// Run the scenarios on this version of Wine only, and nothing else. Without a name or
        /// this option, a selection of the scenarios is run on it too.
        #[arg(long, value_name = "VERSION", value_parser = ["10"], conflicts_with = "debug")]
        wine: Option<String>,
        /// Run only the scenario of this name, or else only the tests whose names contain it, and
        /// build only what these need. The checks of the source are left out.
        filter: Option<String>,
    },
    /// Compare random sequences of heap calls without and with the takeover: of Microsoft's and
    /// Wine's C runtimes, and of the system's heap API.
    ///
    /// The table shows for each subject and C runtime, with the module there from the start and injected in the
    /// middle, how many operations were compared and how many deviated. A sequence that deviates is
    /// shortened and printed with its seed.
    Conformance {
        /// Seed of the first sequence.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Operations for each C runtime.
        #[arg(long, value_name = "N", default_value_t = 200_000)]
        ops: u64,
        /// Only this C runtime: a version of Microsoft's, or `wine`.
        #[arg(long, value_name = "VERSION")]
        crt: Option<String>,
        /// Only these functions: `runtime`, `exact-sizes` (the same with ALLOGRAFT_EXACT_SIZES), or
        /// `heap-api`.
        #[arg(long, value_name = "NAME")]
        subject: Option<Subject>,
    },
    /// Take programs over at the worst moments, again and again, and count what goes wrong.
    Stress {
        /// Run each storm this often, in place of its own short number of times.
        #[arg(long, value_name = "N")]
        runs: Option<u32>,
        /// Run only the storms whose names contain this.
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// Draw the seeds of the runs from this number, which an earlier call printed.
        #[arg(long, value_name = "SEED")]
        seed: Option<u64>,
        /// Let the storms that have a long form take it.
        #[arg(long)]
        long: bool,
    },
    /// Measure allograft side by side with the C runtime's own heap and with mimalloc linked in.
    ///
    /// `cargo xtask bench --help` lists the options.
    #[command(disable_help_flag = true)]
    Bench {
        /// What is passed on to the harness.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make what a user downloads: a zip, its hash, and manifests for package managers.
    ///
    /// The same commit gives the same bytes by the same compilers. Files in the zip have the
    /// commit's time, or that in $SOURCE_DATE_EPOCH. The files lie beside the zip, unpacked.
    Dist {
        /// Where to put it; `dist` in the checkout by default.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Lay out mimalloc itself instead, as a DLL with its import libraries, for a redirection
        /// module: ours, which lies beside it, or Microsoft's.
        #[arg(long)]
        redirect_kit: bool,
        #[command(flatten)]
        kit: KitOptions,
    },
    /// Print what is new in a release, as CHANGELOG.md has it.
    Changelog {
        /// The release, or its tag: `1.2.3` or `v1.2.3`.
        version: String,
    },
    /// Run one Windows program in a Wine prefix of the project (cargo's runner for Windows tests).
    ///
    /// ALLOGRAFT_CRT names the C runtime: `wine`, which is the default, or a version of
    /// Microsoft's.
    #[command(hide = true)]
    Wine {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Args, Clone, Copy, Default)]
struct BuildOptions {
    /// Build optimised code (the default).
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build unoptimised code, with mimalloc's own checks, and with a count of blocks that reach
    /// the system's heap.
    #[arg(long)]
    debug: bool,
    /// Build the module for processors with AVX2, that for 32-bit programs with SSE4.2.
    #[arg(long)]
    avx2: bool,
    /// Build the module with mimalloc's mitigations (guard pages, encoded lists).
    #[arg(long)]
    secure: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup { all_crts } => {
            let crts = if all_crts { crt::all() } else { crt::default() };
            setup::run(&Request::everything(crts))?;
            SiteGenerator::find()?.install()?;
            step::say("set-up: everything is there");
        }
        Command::Build(options) => {
            let environment = setup::run(&Request::everything(crt::default()))?;
            let build = WindowsBuild {
                debug: options.debug,
                newer: options.avx2,
                secure: options.secure,
                quiet: false,
                ..WindowsBuild::new(environment.rust, &X64)
            };
            stage::build_and_write(&environment, build, &Parts::ALL, &layout::stage_file(""))?;
            step::say(&format!("built: {}", stage::bin(options.debug).display()));
        }
        Command::Demo => return demo::run(),
        Command::Docs => {
            picture::draw()?;
            site::build(&site::folder())?;
            step::say(&format!("built: {}", site::folder().join("index.html").display()));
        }
        Command::Test { long, debug, wine, filter } => {
            return test::run(long, debug, wine.is_some(), filter.as_deref());
        }
        Command::Conformance { seed, ops, crt, subject } => {
            return tools::conformance(seed, ops, crt.as_deref(), subject);
        }
        Command::Stress { runs, only, seed, long } => {
            let options = StressOptions { runs, only, long, ..StressOptions::default() };
            return tools::stress(options, seed);
        }
        Command::Bench { arguments } => return tools::bench(&arguments),
        Command::Dist { output, redirect_kit, kit } => {
            let output = output.unwrap_or_else(|| layout::root().join("dist"));
            if redirect_kit {
                dist::redirect_kit::run(&output, kit)?;
            } else {
                dist::run(&output)?;
            }
        }
        Command::Changelog { version } => print!("{}", changelog::of_release(&version)?),
        Command::Wine { command } => return wine::run_program(&command),
    }
    Ok(ExitCode::SUCCESS)
}
