//! Taking over one runtime: from its exports to jumps that are in place.

use core::ffi::CStr;

use allograft_detour::{Detour, MAX_DETOURS, Relays, Windows, install};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

use crate::error::Failure;
use crate::functions::{ESSENTIAL, FUNCTIONS, Function};
use crate::loaded::{Module, loaded_modules};
use crate::runtime::{Runtime, State};
use crate::slots::{self, Slot};
use crate::{contract, entry_code, import_tables, tails};

/// Why a function of a runtime that was taken over was left as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SkipReason {
    /// The runtime passes the name on to another module.
    Forwarded,
}

impl SkipReason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            SkipReason::Forwarded => "the runtime passes it on to another module",
        }
    }
}

/// An exported name that was left alone.
#[derive(Clone, Copy, Debug)]
pub struct Skipped {
    /// The name.
    pub name: &'static CStr,
    /// Why.
    pub reason: SkipReason,
}

/// What was done to a runtime.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// The runtime's number.
    pub slot: Slot,
    /// Entries that were redirected: those of exported names, two at one address once, and bodies
    /// that they jump to.
    pub functions: usize,
    /// Words of import tables that were pointed at the replacements.
    pub imports: usize,
    /// Other threads that were stopped for it.
    pub threads_stopped: usize,
    /// How long it took, in nanoseconds.
    pub nanoseconds: u64,
    /// Pages of the runtime's code that the system did not give back their protection; 0 but on a
    /// hostile system.
    pub pages_left_writable: usize,
    skipped: [Option<Skipped>; MAX_DETOURS],
}

impl Takeover {
    /// The names that were left alone.
    pub fn skipped(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().flatten()
    }
}

/// Redirects the heap functions of the runtime `module`, all or none. The caller holds the loader's
/// lock.
///
/// # Errors
/// Any of [`Failure`]'s; the process is as it was before then.
pub fn take_over(module: &Module) -> Result<Takeover, Failure> {
    let begin = now();
    if slots::is_taken(module.base()) {
        return Err(Failure::AlreadyTakenOver);
    }
    let mut takeover = occupy_and_redirect(module).inspect_err(|_| slots::vacate(module.base()))?;
    takeover.nanoseconds = nanoseconds_since(begin);
    Ok(takeover)
}

/// Points the import tables of `module`, which was loaded after the takeover, at the replacements,
/// and keeps tails clean if it wants them so. Returns how many words were exchanged. The caller
/// holds the loader's lock.
pub fn module_loaded(module: &Module) -> usize {
    tails::module_loaded(module);
    import_tables::redirect(&mut core::iter::once(*module), &slots::replacement_of)
}

/// Forgets the runtime that was loaded at `base`, when it is unloaded; false if it was not taken
/// over.
pub fn unloaded(base: usize) -> bool {
    let taken = slots::is_taken(base);
    slots::vacate(base);
    taken
}

fn occupy_and_redirect(module: &Module) -> Result<Takeover, Failure> {
    let public = slots::occupy(module, Runtime::of(module, State::Public)?)?;
    // A runtime without a state for the system has no names for it either, or the same functions
    // under both.
    let system = match Runtime::of(module, State::System) {
        Ok(runtime) => slots::occupy(module, runtime)?,
        Err(_) => public,
    };
    let clean_tails = tails::are_wanted(module.base(), loaded_modules());
    if clean_tails {
        tails::begin(module.base());
    }
    let mut plan = Plan::new(clean_tails);
    plan.fill(module, |state| match state {
        State::Public => public,
        State::System => system,
    })?;
    let detours = &mut plan.detours[..plan.count];
    let relays = Relays::build(&Windows, detours).map_err(Failure::Patch)?;
    let mut imports = 0;
    let redirect_imports = || {
        imports = import_tables::redirect(&mut loaded_modules(), &|function| {
            let is_meant = module.contains(function);
            is_meant.then(|| relays.replacement_for(function)).flatten()
        });
    };
    let before = allograft_heap::others_may_have_aligned(true);
    let installed = install(&Windows, detours, redirect_imports).map_err(|error| {
        relays.free(&Windows);
        Failure::Patch(error)
    })?;
    allograft_heap::others_may_have_aligned(before || installed.threads_suspended > 0);
    slots::keep_relays(public, relays);
    Ok(Takeover {
        slot: public,
        functions: plan.count,
        imports,
        threads_stopped: installed.threads_suspended,
        nanoseconds: 0,
        pages_left_writable: installed.pages_left_writable,
        skipped: plan.skipped,
    })
}

/// What will be redirected, and what will not.
struct Plan {
    clean_tails: bool,
    detours: [Detour; MAX_DETOURS],
    count: usize,
    skipped: [Option<Skipped>; MAX_DETOURS],
    skipped_count: usize,
}

impl Plan {
    fn new(clean_tails: bool) -> Plan {
        Plan {
            clean_tails,
            detours: [Detour::new(0, 0); MAX_DETOURS],
            count: 0,
            skipped: [None; MAX_DETOURS],
            skipped_count: 0,
        }
    }

    /// Plans for every function that `module` exports, with the slot for each of its states.
    fn fill(&mut self, module: &Module, slot_of: impl Fn(State) -> Slot) -> Result<(), Failure> {
        for row in FUNCTIONS {
            let before = self.count;
            for name in row.names {
                self.add(module, slot_of(State::of_name(name)), row.function, name)?;
            }
            if self.count == before && ESSENTIAL.contains(&row.function) {
                return Err(Failure::Missing(row.names[0]));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        module: &Module,
        slot: Slot,
        function: Function,
        name: &'static CStr,
    ) -> Result<(), Failure> {
        let Some(target) = module.export(name) else {
            return Ok(());
        };
        if self.plans_for(target) {
            return Ok(());
        }
        if !module.contains(target) {
            self.skipped[self.skipped_count] =
                Some(Skipped { name, reason: SkipReason::Forwarded });
            self.skipped_count += 1;
            return Ok(());
        }
        if needs_the_environment(function) && !slot.knows_the_environment() {
            return Ok(());
        }
        let mut replacement = contract::entry(function, slot.number(), self.clean_tails);
        let mut body = target;
        loop {
            let place = self
                .detours
                .get_mut(self.count)
                .ok_or(Failure::Patch(allograft_detour::Error::TooMany(MAX_DETOURS)))?;
            *place = Detour::new(body, replacement);
            self.count += 1;
            // An entry that is but a jump leads to the function's body, which the runtime's own
            // code calls without the detour over the entry: on blocks of ours it would ask the old
            // heap about them. SAFETY: a function of a loaded module begins there.
            match unsafe { entry_code::jumps_to(body) } {
                Some(to) if !module.contains(to) => return Err(Failure::AlreadyHooked(name, to)),
                Some(to) if !self.plans_for(to) => {
                    body = to;
                    replacement =
                        contract::entry_of_body(function, slot.number(), self.clean_tails);
                }
                _ => return Ok(()),
            }
        }
    }

    fn plans_for(&self, target: usize) -> bool {
        let planned = &self.detours[..self.count];
        planned.iter().any(|detour| detour.target == target)
    }
}

/// Whether the replacement of `function` asks the runtime for its environment.
fn needs_the_environment(function: Function) -> bool {
    matches!(function, Function::DupenvS | Function::WdupenvS)
}

fn now() -> i64 {
    let mut ticks = 0;
    // SAFETY: writes the count.
    unsafe { QueryPerformanceCounter(&mut ticks) };
    ticks
}

fn nanoseconds_since(begin: i64) -> u64 {
    let mut frequency = 0;
    // SAFETY: writes the frequency.
    unsafe { QueryPerformanceFrequency(&mut frequency) };
    let ticks = (now() - begin).max(0) as u128;
    (ticks * 1_000_000_000 / (frequency.max(1) as u128)) as u64
}
