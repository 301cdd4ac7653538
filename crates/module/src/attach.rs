//! What happens when the module is loaded, in order.

use core::ptr::null_mut;

use allograft_engine::{
    Module, is_debug_runtime, is_runtime, is_taken_over, loaded_modules, loaded_runtimes,
    module_loaded, take_over,
};
use allograft_inject::State;
use windows_sys::Win32::Foundation::{HINSTANCE, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use crate::config::Config;
use crate::page::Opened;
use crate::text::Wide;
use crate::{children, first_copy, ini, log, page, processor, report, watch};

/// How the module goes on.
pub(crate) struct Outcome {
    /// mimalloc runs: threads that end have to be told to it.
    pub(crate) started: bool,
    /// The module stays loaded.
    pub(crate) stays: bool,
}

const STAYS_IDLE: Outcome = Outcome { started: false, stays: true };

/// Attaches, with the loader's lock held. Whatever fails, the process runs on as before.
pub(crate) fn attach(module: HINSTANCE) -> Outcome {
    match page::open() {
        Opened::Ours => {}
        Opened::Taken => return already_here(module),
        Opened::NoMemory => return STAYS_IDLE,
    }
    ini::find(module);
    let config = Config::read(page::options());
    log::open(&config);
    report::open(&config);
    let outcome = attach_as_told(&config);
    report::write();
    outcome
}

/// Another copy of the module has attached to this process before: two would take each other's
/// jumps for the runtime's code.
fn already_here(module: HINSTANCE) -> Outcome {
    first_copy::find(module as usize);
    ini::find(module);
    log::open(&Config::read(None));
    log::line(format_args!("another copy of the module is in this process already: nothing to do"));
    STAYS_IDLE
}

fn attach_as_told(config: &Config) -> Outcome {
    if let Some(lack) = processor::lacks() {
        tell(format_args!("{lack}"));
        page::set_state(State::Failed);
        return Outcome { started: false, stays: false };
    }
    if config.disabled {
        log::line(format_args!("disabled by MIMALLOC_DISABLE_REDIRECT: nothing is taken over"));
        page::set_state(State::Disabled);
        return STAYS_IDLE;
    }
    pin();
    if config.follow {
        children::follow(config);
    }
    if !config.imports {
        allograft_engine::leave_import_tables_alone();
    }
    allograft_heap::options::look_up_with(ini::mimalloc_option);
    let Some(status) = page::status() else {
        return STAYS_IDLE;
    };
    if let Err(failure) = allograft_engine::start(page::counters(status)) {
        tell(format_args!("{failure}"));
        page::set_state(State::Failed);
        return STAYS_IDLE;
    }
    page::tell_mimalloc_version();
    let failed = loaded_runtimes().filter(|runtime| !attach_to(runtime, config.count)).count();
    watch::start();
    let taken_over = page::runtime_count(status);
    if let Some(debug) = loaded_modules().find(is_debug_runtime) {
        tell_of_debug_runtime(&debug);
    }
    match (taken_over, failed) {
        (0, 0) => {
            log::line(format_args!(
                "no C runtime that can be taken over is loaded: waiting for one"
            ));
            page::set_state(State::NoRuntime);
        }
        (0, _) => page::set_state(State::Failed),
        _ => page::set_state(State::Active),
    }
    Outcome { started: true, stays: true }
}

/// Takes one runtime over, and says how it went.
fn attach_to(runtime: &Module, count: bool) -> bool {
    let (name, path) = (Wide(runtime.name()), Wide(runtime.path()));
    match take_over(runtime) {
        Ok(takeover) => {
            let index = page::add_runtime(runtime, &takeover);
            log::line(format_args!(
                "took over {} functions of {path} in {}.{:03} ms, {} threads stopped, {} imports redirected",
                takeover.functions,
                takeover.nanoseconds / 1_000_000,
                takeover.nanoseconds / 1_000 % 1_000,
                takeover.threads_stopped,
                takeover.imports,
            ));
            page::add_imports(takeover.imports);
            for skipped in takeover.skipped() {
                log::line(format_args!(
                    "left {} alone: {}",
                    skipped.name.to_str().unwrap_or("?"),
                    skipped.reason.text()
                ));
            }
            if let Some(index) = index {
                report::keep_skipped(index, &takeover);
            }
            if count && let Some(census) = allograft_engine::census(takeover.slot) {
                page::add_census(census);
            }
            true
        }
        Err(failure) => {
            tell(format_args!("{name} was not taken over: {failure}"));
            false
        }
    }
}

/// A module was loaded while the process runs. Called with the loader's lock held, before the
/// module's own code runs.
pub(crate) fn loaded_later(module: &Module) {
    page::add_imports(module_loaded(module));
    if is_debug_runtime(module) {
        tell_of_debug_runtime(module);
        report::write();
    }
    // The loader also tells of modules that it had mapped before we came, once it initialises them.
    if is_runtime(module) && !is_taken_over(module) && attach_to(module, false) {
        page::set_state(State::Active);
        report::write();
    }
}

fn tell_of_debug_runtime(module: &Module) {
    tell(format_args!(
        "{} is a debug C runtime, which is left alone: use a release build of the program",
        Wide(module.name())
    ));
}

/// Says why something was not taken over, in the log and to whoever reads the status page.
fn tell(reason: core::fmt::Arguments<'_>) {
    log::line(reason);
    page::set_message(reason);
}

/// The runtime's code leads here from now on: the module must never go.
fn pin() {
    let mut module: HMODULE = null_mut();
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    // SAFETY: the address is our own.
    unsafe { GetModuleHandleExW(flags, pin as *const () as *const u16, &mut module) };
}
