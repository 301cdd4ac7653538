//! Taking over one runtime: from its exports to jumps that are in place.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_detour::{Detour, MAX_DETOURS, Relays, System, Windows, install};

use crate::error::TakeoverError;
use crate::functions::Function;
use crate::module::Module;
use crate::plan::{DetourPlan, Source};
use crate::proof::{self, Proof};
use crate::runtime::{CrtState, Runtime};
use crate::windows::{loaded_modules, nanoseconds_since, ticks, with_scratch};
use crate::{contract, heap_api, import_tables, slots, tails};

/// A runtime that was taken over.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// The slot of its public state, for [`census`](crate::census).
    pub slot: usize,
    /// Entries that were redirected: those of exported names, two at one address once, and bodies
    /// that they jump to.
    pub functions: usize,
    /// Import slots that were pointed at the replacements.
    pub imports: usize,
    /// Other threads that were suspended for it.
    pub threads_suspended: usize,
    /// Threads that could not be suspended because they refuse access.
    pub threads_missed: usize,
    /// Why none of its blocks can reach the system's heap.
    pub proof: Proof,
    /// How long it took.
    pub nanoseconds: u64,
    /// Pages of the runtime's code whose protection the system did not restore; 0 except on a
    /// hostile system.
    pub pages_left_writable: usize,
    skipped: [Option<&'static CStr>; MAX_DETOURS],
}

impl Takeover {
    /// The exported names that were left alone, all for [`SKIP_REASON`](crate::SKIP_REASON).
    pub fn skipped(&self) -> impl Iterator<Item = &'static CStr> {
        self.skipped.into_iter().flatten()
    }
}

static UNPROVED: AtomicBool = AtomicBool::new(false);

/// Has runtimes taken over from now on too whose own code may give blocks of mimalloc's to the
/// system's heap.
pub fn take_over_unproved() {
    UNPROVED.store(true, Ordering::Relaxed);
}

/// Redirects the heap functions of the runtime `module`, all or none. The caller holds the loader's
/// lock.
///
/// # Errors
/// Any [`TakeoverError`]; the process is as it was before then.
pub fn take_over(module: &Module) -> Result<Takeover, TakeoverError> {
    let begin = ticks();
    if slots::is_taken(module.base()) {
        return Err(TakeoverError::AlreadyTakenOver);
    }
    let mut takeover = occupy_and_redirect(module).inspect_err(|_| {
        // SAFETY: the caller holds the loader's lock, and no function was redirected: a failed
        // transaction leaves no jump.
        unsafe { slots::vacate(module.base(), |relays| relays.free(&Windows)) }
    })?;
    takeover.nanoseconds = nanoseconds_since(begin);
    Ok(takeover)
}

/// Points the import tables of `module`, which was loaded after the takeover, at the replacements,
/// and keeps tails clean if it needs them so. Returns how many slots were written. The caller holds
/// the loader's lock.
pub fn module_loaded(module: &Module) -> usize {
    tails::module_loaded(module);
    import_tables::redirect(&mut core::iter::once(*module), &slots::replacement_for)
}

/// Forgets the runtime at `base`. False if it was not taken over.
///
/// # Safety
/// The caller holds the loader's lock, and the module at `base` is being unloaded: no thread is in
/// a call of one of its functions. A program whose threads still were would return to unmapped
/// code.
pub unsafe fn module_unloaded(base: usize) -> bool {
    let taken = slots::is_taken(base);
    // SAFETY: the caller's promise. A replacement is entered through the runtime's own functions,
    // or through an import slot of a module that keeps the runtime loaded.
    unsafe { slots::vacate(base, |relays| relays.free(&Windows)) };
    taken
}

fn occupy_and_redirect(module: &Module) -> Result<Takeover, TakeoverError> {
    let export = |name: &CStr| module.export(name);
    let public = slots::occupy(module, Runtime::from_exports(&export, CrtState::Public)?)?;
    // A runtime without a state for the system exports no names for it, or the same functions under
    // both.
    let system = match Runtime::from_exports(&export, CrtState::System) {
        Ok(runtime) => slots::occupy(module, runtime)?,
        Err(_) => public,
    };
    let clean_tails = tails::are_wanted(module.base(), loaded_modules());
    if clean_tails {
        tails::begin(module.base());
    }
    let mut plan = DetourPlan::new(module, &LoadedRuntime { module, public, system, clean_tails })?;
    let skipped = plan.skipped;
    let detours = plan.detours();
    let proof = prove(module, detours)?;
    let relays = Relays::build(&Windows, detours).map_err(TakeoverError::Detour)?;
    // A suspended thread may be inside the runtime's own aligned functions. It goes on as soon as
    // it is resumed, before `install` returns.
    let before = allograft_heap::exchange_unmarked_interior_pointers(true);
    let installed = install(&Windows, detours).map_err(|error| {
        relays.free(&Windows);
        TakeoverError::Detour(error)
    })?;
    allograft_heap::exchange_unmarked_interior_pointers(before || installed.threads_suspended > 0);
    slots::keep_relays(public, relays);
    let imports = import_tables::redirect(&mut loaded_modules(), &|function| {
        let is_meant = module.contains(function);
        is_meant.then(|| relays.replacement_for(function)).flatten()
    });
    Ok(Takeover {
        slot: public,
        functions: detours.len(),
        imports,
        threads_suspended: installed.threads_suspended,
        threads_missed: installed.threads_missed,
        proof,
        nanoseconds: 0,
        pages_left_writable: installed.pages_left_writable,
        skipped,
    })
}

/// The proof for the runtime `module`, in which `detours` are about to be made.
fn prove(module: &Module, detours: &[Detour]) -> Result<Proof, TakeoverError> {
    let mut replaced = [0; MAX_DETOURS];
    for (offset, detour) in replaced.iter_mut().zip(detours) {
        *offset = (detour.target - module.base()) as u32;
    }
    let proof = proof::find(
        module,
        &|address| Windows.region(address),
        &replaced[..detours.len()],
        &|address| heap_api::catches(module, address),
        &with_scratch,
    );
    match proof {
        Proof::Missing(gap) if !UNPROVED.load(Ordering::Relaxed) => {
            Err(TakeoverError::Unproved(gap))
        }
        proof => Ok(proof),
    }
}

/// A runtime that has its slots, and is not redirected yet.
struct LoadedRuntime<'a> {
    module: &'a Module,
    public: usize,
    system: usize,
    clean_tails: bool,
}

impl Source for LoadedRuntime<'_> {
    fn export(&self, name: &CStr) -> Option<usize> {
        self.module.export(name)
    }

    fn replacement(&self, function: Function, state: CrtState, body: bool) -> Option<usize> {
        let slot = if state == CrtState::Public { self.public } else { self.system };
        let needs_environment = matches!(function, Function::DupenvS | Function::WdupenvS);
        let has_environment = || slots::runtime(slot).is_some_and(Runtime::has_environment);
        if needs_environment && !has_environment() {
            return None;
        }
        Some(contract::entry(function, slot, self.clean_tails, body))
    }
}
