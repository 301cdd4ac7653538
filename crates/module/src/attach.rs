//! Attaching to the process, in order: status page, configuration, mimalloc, runtimes,
//! notifications. All of it runs with the loader's lock held, and whatever fails, the process runs
//! on as before.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_engine::heap_api::{self, HeapObstacle, HeapSlots, HeapTakeover, ServedModules};
use allograft_engine::{
    Module, Proof, SKIP_REASON, is_any_taken_over, is_debug_runtime, is_runtime, is_taken_over,
    loaded_modules, loaded_runtimes, module_loaded, module_unloaded, take_over,
};
use allograft_inject::{HeapScope, HeapState, State};
use windows_sys::Win32::Foundation::{HINSTANCE, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use crate::config::Config;
use crate::page::Opened;
use crate::text::Wide;
use crate::watch::Handlers;
use crate::{children, first_copy, ini, log, page, processor, report, watch};

/// The state of the module after attaching.
pub(crate) struct AttachOutcome {
    /// mimalloc has started, and must be called when a thread ends.
    pub(crate) started: bool,
    /// The module stays loaded.
    pub(crate) stays: bool,
}

/// Whether the settings leave the process's heap alone.
static HEAP_IS_OFF: AtomicBool = AtomicBool::new(false);

const STAYS_IDLE: AttachOutcome = AttachOutcome { started: false, stays: true };

pub(crate) fn attach(module: HINSTANCE) -> AttachOutcome {
    match page::open() {
        Opened::Ours => {}
        Opened::Taken => return forward_to_first_copy(module),
        Opened::NoMemory => return STAYS_IDLE,
    }
    ini::find(module);
    let config = Config::read(page::options(), &ini::look_up);
    log::open(&config);
    report::open(&config);
    if let Some(mistake) = config.mistake() {
        report_failure(format_args!("{mistake}"));
    }
    let outcome = attach_with(&config, module);
    report::write();
    outcome
}

/// For a second copy of the module in the process: two would take each other's jumps for the
/// runtime's code, so this one does nothing but forward its C interface.
fn forward_to_first_copy(module: HINSTANCE) -> AttachOutcome {
    first_copy::find(module as usize);
    ini::find(module);
    log::open(&Config::read(None, &ini::look_up));
    log::line(format_args!("another copy of the module is in this process already: nothing to do"));
    STAYS_IDLE
}

fn attach_with(config: &Config, module: HINSTANCE) -> AttachOutcome {
    if let Some(obstacle) = processor::obstacle() {
        report_failure(format_args!("{obstacle}"));
        page::set_state(State::Failed);
        return AttachOutcome { started: false, stays: false };
    }
    if config.disabled {
        log::line(format_args!("disabled by MIMALLOC_DISABLE_REDIRECT: nothing is taken over"));
        page::set_state(State::Disabled);
        return STAYS_IDLE;
    }
    pin();
    if config.follow {
        children::follow(config, module);
    }
    if !config.imports {
        allograft_engine::leave_import_tables_alone();
    }
    if config.unproved {
        allograft_engine::take_over_unproved();
    }
    allograft_heap::look_up_options_with(ini::mimalloc_option);
    let Some(status) = page::status() else {
        return STAYS_IDLE;
    };
    if let Err(failure) = allograft_engine::start(page::counters(status)) {
        report_failure(format_args!("{failure}"));
        page::set_state(State::Failed);
        return STAYS_IDLE;
    }
    page::tell_mimalloc_version();
    #[cfg(feature = "check-frees")]
    crate::mistakes::begin();
    if config.exact_sizes {
        keep_exact_sizes();
    }
    // Before the runtimes: their blocks may come to the heap API as soon as they are taken over.
    take_over_heap(config.heap, loaded_runtimes().next().is_some());
    let failed = loaded_runtimes().filter(|runtime| !attach_to(runtime, config.count)).count();
    watch::start(&Handlers { loaded: loaded_later, unloaded });
    let taken_over = page::runtime_count(status);
    if let Some(debug) = loaded_modules().find(is_debug_runtime) {
        report_debug_runtime(&debug);
    }
    match (taken_over, failed) {
        (0, 0) if heap_api::is_serving() => page::set_state(State::Active),
        (0, 0) => {
            log::line(format_args!(
                "no C runtime that can be taken over is loaded: waiting for one"
            ));
            page::set_state(State::NoRuntime);
        }
        (0, _) => page::set_state(State::Failed),
        _ => page::set_state(State::Active),
    }
    AttachOutcome { started: true, stays: true }
}

/// Has the runtimes that are taken over from now on keep the sizes of their blocks.
fn keep_exact_sizes() {
    if allograft_heap::keep_exact_sizes() {
        log::line(format_args!("_msize answers exactly what was asked for"));
        page::set_exact_sizes();
    } else {
        report_failure(format_args!(
            "_msize stays inexact: mimalloc cannot make a heap for exact sizes (no memory, or no TLS slot)"
        ));
    }
}

/// Redirects the heap API for `scope`, and for the blocks of `runtimes` if any are to be taken
/// over.
fn take_over_heap(scope: HeapScope, runtimes: bool) {
    let scope = match scope {
        HeapScope::Off => {
            HEAP_IS_OFF.store(true, Ordering::Relaxed);
            return page::set_heap_state(HeapState::Off);
        }
        HeapScope::Auto => heap_api::HeapScope::Automatic,
        HeapScope::Program => heap_api::HeapScope::Program,
        HeapScope::All => heap_api::HeapScope::All,
    };
    match heap_api::take_over(scope, runtimes) {
        Ok(Some(takeover)) => {
            let HeapTakeover { slots, modules, exports, private_heap, nanoseconds, .. } = takeover;
            let whose = match takeover.served {
                ServedModules::None => "nobody's allocations",
                ServedModules::Program => "allocations of the program",
                ServedModules::All => "allocations of all modules but the system's",
            };
            log::line(format_args!(
                "redirected the process's heap, for {whose}, in {}.{:03} ms: {} imports that allocate, {} that free, in {modules} modules, {exports} exports",
                nanoseconds / 1_000_000,
                nanoseconds / 1_000 % 1_000,
                slots.allocating,
                slots.freeing,
            ));
            if private_heap {
                log::line(format_args!(
                    "the program's C runtime makes a heap of its own, which is served too"
                ));
            }
            page::add_heap(&takeover);
            #[cfg(feature = "debug")]
            count_escapes();
            if let Some(obstacle) = takeover.refused {
                report_heap_obstacle(&obstacle);
            }
            page::set_heap_state(match takeover.served {
                ServedModules::None => HeapState::FreeSide,
                ServedModules::Program => HeapState::Program,
                ServedModules::All => HeapState::All,
            });
        }
        Ok(None) => {}
        Err(obstacle) => {
            report_heap_obstacle(&obstacle);
            page::set_heap_state(HeapState::LeftAlone);
        }
    }
}

/// Counts in the status page which blocks of mimalloc's reach the system's own heap.
#[cfg(feature = "debug")]
fn count_escapes() {
    let Some(status) = page::status() else { return };
    match heap_api::count_escapes(&status.heap.escapes) {
        Ok(()) => status.heap.escapes_known.store(1, Ordering::Release),
        Err(obstacle) => log::line(format_args!("escapes are not counted: {obstacle}")),
    }
}

/// Writes why the process's heap is left alone to the log and the status page.
fn report_heap_obstacle(obstacle: &HeapObstacle) {
    log::line(format_args!("the process's heap is left alone: {obstacle}"));
    page::set_heap_obstacle(obstacle);
}

/// Takes one runtime over, and logs the result. False if that failed.
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
                takeover.threads_suspended,
                takeover.imports,
            ));
            page::add_imports(takeover.imports);
            if takeover.threads_missed > 0 {
                log::line(format_args!(
                    "{} threads refuse access and were not stopped: if one was just entering a heap function of {name}, the program may fail",
                    takeover.threads_missed
                ));
            }
            match takeover.proof {
                Proof::Redirected => {}
                Proof::Scanned => log::line(format_args!(
                    "scanned {name}: only functions that were replaced give blocks to the system's heap"
                )),
                Proof::Wine => log::line(format_args!(
                    "{name} was not scanned: it is Wine's own, which gives the system's heap its own blocks"
                )),
                Proof::Missing(gap) => log::line(format_args!(
                    "took {name} over as ALLOGRAFT_UNPROVED asks, although the program may fail: {gap}"
                )),
            }
            for skipped in takeover.skipped() {
                let name = skipped.to_str().unwrap_or("?");
                log::line(format_args!("left {name} alone: {SKIP_REASON}"));
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
            report_failure(format_args!("{name} was not taken over: {failure}"));
            false
        }
    }
}

fn loaded_later(module: &Module) {
    page::add_imports(module_loaded(module));
    let slots = heap_api::module_loaded(module);
    page::add_heap_slots(slots, usize::from(slots != HeapSlots::default()));
    if is_debug_runtime(module) {
        report_debug_runtime(module);
        report::write();
    }
    // The loader also sends this for modules that were mapped before, when it initialises them.
    if is_runtime(module) && !is_taken_over(module) {
        if !HEAP_IS_OFF.load(Ordering::Relaxed) {
            take_over_heap(HeapScope::Auto, true);
        }
        if attach_to(module, false) {
            page::set_state(State::Active);
        } else if page::state() == State::NoRuntime && !heap_api::is_serving() {
            // The launcher says why, and not that there was none.
            page::set_state(State::Failed);
        }
        report::write();
    }
    if heap_api::is_serving() && page::state() == State::NoRuntime {
        page::set_state(State::Active);
    }
}

fn unloaded(base: usize) {
    // SAFETY: the loader's notification of unloading comes with its lock held.
    if unsafe { module_unloaded(base) } {
        log::line(format_args!("a C runtime that was taken over was unloaded"));
        if !is_any_taken_over() && !heap_api::is_serving() {
            page::set_state(State::NoRuntime);
        }
    }
}

fn report_debug_runtime(module: &Module) {
    report_failure(format_args!(
        "{} is a debug C runtime, which is left alone: use a release build of the program",
        Wide(module.name())
    ));
}

/// Writes why something is not as it was asked for to the log and the status page.
fn report_failure(reason: core::fmt::Arguments<'_>) {
    log::line(reason);
    page::set_message(reason);
}

/// Keeps the module from ever being unloaded: the runtime's code will jump into it.
fn pin() {
    let mut module: HMODULE = null_mut();
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    // SAFETY: the address is that of a function in this module.
    unsafe { GetModuleHandleExW(flags, pin as *const () as *const u16, &mut module) };
}
