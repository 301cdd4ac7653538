//! Taking the process's heap over: ntdll's exports, then the import tables of all modules.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_detour::{Relays, System, Windows};
use windows_sys::Win32::Foundation::HANDLE;

use super::addresses::{KnownAddresses, SYSTEM_DLLS};
use super::export_table::{self, RedirectedExports};
use super::scope::Landmarks;
use super::table::{HEAP_FUNCTIONS, HeapFunction};
use super::{HeapObstacle, HeapScope, ServedModules, cold, private_heap, replacements};
use crate::exports;
use crate::module::Module;
use crate::once::ClearableOnce;
use crate::windows::{
    global_flags, loaded_modules, nanoseconds_since, program_base, ticks, windows_folder,
};
use crate::{import_tables, imports, old_heap};

/// What was redirected for the process's heap.
#[derive(Clone, Copy, Debug)]
pub struct HeapTakeover {
    /// Whose allocations are served.
    pub served: ServedModules,
    /// Why those of the program's image are not, although the scope includes them.
    pub refused: Option<HeapObstacle>,
    /// Import slots that were redirected.
    pub slots: HeapSlots,
    /// Modules with slots of the free side that were redirected.
    pub modules: usize,
    /// Exports of ntdll's that were redirected.
    pub exports: usize,
    /// Whether the runtime in the program's image makes a heap of its own, which is served too, now
    /// or as soon as it is made.
    pub private_heap: bool,
    /// How long it took.
    pub nanoseconds: u64,
}

/// Import slots that were redirected, by their sides.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HeapSlots {
    /// Those of functions that allocate.
    pub allocating: usize,
    /// Those of functions that are given a block.
    pub freeing: usize,
}

/// What is known once the process's heap is taken over.
#[derive(Clone, Copy)]
struct HeapApi {
    served: ServedModules,
    landmarks: Landmarks,
    addresses: KnownAddresses,
    relays: Relays,
}

static HEAP_API: ClearableOnce<HeapApi> = ClearableOnce::new();

/// Whether any import slot leads to a function that hands out blocks of mimalloc's.
static SERVING: AtomicBool = AtomicBool::new(false);

/// Whether the allocations of any module are served.
pub fn is_serving() -> bool {
    SERVING.load(Ordering::Relaxed)
}

/// Redirects the heap API for `scope`, and its free side for `runtimes`: whether C runtimes are to
/// be taken over, whose blocks may come to it. It should be called before that, so that none of
/// their blocks comes too early. None if there is nothing to do, or it is done already. The caller
/// holds the loader's lock.
///
/// # Errors
/// Any [`HeapObstacle`]; nothing has changed then.
pub fn take_over(scope: HeapScope, runtimes: bool) -> Result<Option<HeapTakeover>, HeapObstacle> {
    let begin = ticks();
    if HEAP_API.get().is_some() {
        return Ok(None);
    }
    let addresses = known_addresses();
    let (served, refused) = choose_served(scope, &addresses);
    if served == ServedModules::None && !runtimes {
        return refused.map_or(Ok(None), Err);
    }
    check_process()?;
    if !allograft_heap::start_heap_api(&cold::COLD_PATHS, old_heap::process_heap()) {
        return Err(HeapObstacle::NoHeap);
    }
    let RedirectedExports { relays, count: exports } = redirect_exports()?;
    let api = HeapApi { served, landmarks: landmarks(), addresses, relays };
    HEAP_API.set(api);
    let creates = creating_addresses();
    let private_heap = api.find_private_heap(&creates);
    let mut slots = HeapSlots::default();
    let mut modules = 0;
    // All of the free side comes before the first allocation.
    for module in loaded_modules() {
        let freeing = api.redirect_frees(&module);
        slots.freeing += freeing;
        modules += usize::from(freeing > 0);
    }
    if let Some((program, variable)) = private_heap {
        import_tables::redirect(&mut core::iter::once(program), &|address| {
            creates.contains(&address).then(|| private_heap::replace_create(address))
        });
        // SAFETY: the variable is in the program's image, which stays.
        unsafe { private_heap::serve(variable, &is_executable) };
    }
    for module in loaded_modules() {
        slots.allocating += api.redirect_allocations(&module);
    }
    Ok(Some(HeapTakeover {
        served,
        refused,
        slots,
        modules,
        exports,
        private_heap: private_heap.is_some(),
        nanoseconds: nanoseconds_since(begin),
    }))
}

/// Redirects the heap API in the import tables of `module`, which was loaded after [`take_over`].
/// The caller holds the loader's lock.
pub fn module_loaded(module: &Module) -> HeapSlots {
    HEAP_API.get().map_or(HeapSlots::default(), |api| HeapSlots {
        freeing: api.redirect_frees(module),
        allocating: api.redirect_allocations(module),
    })
}

/// Whether calls of `address`, the contents of an import slot of `module` for a function of the
/// free side, come to mimalloc. Before its first call, a delay-loaded function's slot leads into
/// the module itself; it will get what ntdll's exports lead to.
pub(crate) fn catches(module: &Module, address: usize) -> bool {
    HEAP_API.get().is_some_and(|api| {
        replacements::is_replacement(address)
            || api.relays.function_behind(address).is_some()
            || module.contains(address)
    })
}

impl HeapApi {
    /// Redirects the free side in the import tables of `module`. Returns how many slots were
    /// written.
    fn redirect_frees(&self, module: &Module) -> usize {
        let served = self.serves(module);
        self.redirect(module, &|function| match function {
            HeapFunction::AllocateHeap => None,
            function => replacements::replacement(function, served),
        })
    }

    /// Redirects the allocation side in the import tables of `module`, if it is served.
    fn redirect_allocations(&self, module: &Module) -> usize {
        if !self.serves(module) {
            return 0;
        }
        let count = self.redirect(module, &|function| match function {
            HeapFunction::AllocateHeap => replacements::replacement(function, true),
            _ => None,
        });
        SERVING.fetch_or(count > 0, Ordering::Relaxed);
        count
    }

    fn redirect(
        &self,
        module: &Module,
        replacement: &dyn Fn(HeapFunction) -> Option<usize>,
    ) -> usize {
        import_tables::redirect(&mut core::iter::once(*module), &|address| {
            replacement(self.function_at(address)?)
        })
    }

    /// The function that calls of `address` come to. The imports of a module that was loaded after
    /// ntdll's exports were redirected are bound to relays.
    fn function_at(&self, address: usize) -> Option<HeapFunction> {
        self.addresses
            .function_at(address)
            .or_else(|| self.addresses.function_at(self.relays.function_behind(address)?))
    }

    /// The program's image, if it is served and its runtime makes a heap, and the variable for it.
    fn find_private_heap(&self, creates: &[usize]) -> Option<(Module, *mut HANDLE)> {
        let program = loaded_modules().find(|module| module.base() == program_base())?;
        if !self.serves(&program) {
            return None;
        }
        let addresses = private_heap::Addresses {
            function_at: &|address| self.function_at(address),
            creates: &|address| creates.contains(&address),
        };
        Some((program, private_heap::find(&program, &region, &addresses)?))
    }

    fn serves(&self, module: &Module) -> bool {
        self.served.include(module, &self.landmarks)
            && obstacle_of(module, &|address| self.function_at(address).is_some()).is_none()
    }
}

/// The protection of the pages around an address.
fn region(address: usize) -> Option<allograft_detour::Region> {
    Windows.region(address)
}

fn is_executable(address: usize) -> bool {
    region(address).is_some_and(|region| region.protection.is_executable())
}

/// The addresses of `HeapCreate`. ntdll's own function takes other arguments.
fn creating_addresses() -> [usize; SYSTEM_DLLS.len()] {
    SYSTEM_DLLS.map(|name| {
        let dll = loaded_modules().find(|module| module.name_is(name));
        let export = dll.and_then(|dll| exports::find(&dll, &region, c"HeapCreate"));
        // No slot that is looked at holds 1.
        export.map_or(1, |export| export.address)
    })
}

fn known_addresses() -> KnownAddresses {
    let dlls = SYSTEM_DLLS.map(|name| loaded_modules().find(|module| module.name_is(name)));
    KnownAddresses::new(&|dll, name| Some(exports::find(&dlls[dll]?, &region, name)?.address))
}

fn landmarks() -> Landmarks {
    let here = landmarks as *const () as usize;
    let own = loaded_modules().find(|module| module.contains(here));
    let mut folder = [0; 260];
    let folder = windows_folder(&mut folder);
    let own = own.map_or(0, |module| module.base());
    Landmarks::new(program_base(), own, allograft_heap::mimalloc_base(), folder)
}

/// Whose allocations can be served of those that `scope` asks for, and why the program's image is
/// not among them although it should be.
fn choose_served(
    scope: HeapScope,
    addresses: &KnownAddresses,
) -> (ServedModules, Option<HeapObstacle>) {
    let is_known = |address| addresses.function_at(address).is_some();
    let program = loaded_modules().find(|module| module.base() == program_base());
    let wanted = program
        .filter(|program| scope != HeapScope::Automatic || imports_allocations(program, addresses));
    let refused = wanted.and_then(|program| obstacle_of(&program, &is_known));
    let served = match scope {
        HeapScope::All => ServedModules::All,
        _ if wanted.is_some() && refused.is_none() => ServedModules::Program,
        _ => ServedModules::None,
    };
    (served, refused)
}

/// Whether `module` imports a function that allocates, by name or bound to its address.
fn imports_allocations(module: &Module, addresses: &KnownAddresses) -> bool {
    let names = [HEAP_FUNCTIONS[0].native, HEAP_FUNCTIONS[0].names[0]];
    let mut imports = imports::find_any(module, &region, &names, |_| true).is_some();
    imports::visit(module, &region, &mut |_, address| {
        imports |= addresses.function_at(address) == Some(HeapFunction::AllocateHeap);
    });
    imports
}

/// Why the allocations of `module` are not served: the blocks that they would get might reach the
/// system's own functions. `is_known` holds for the addresses of the heap API.
fn obstacle_of(module: &Module, is_known: &dyn Fn(usize) -> bool) -> Option<HeapObstacle> {
    const NAMES: [&CStr; 8] = [
        c"HeapAlloc",
        c"HeapFree",
        c"HeapReAlloc",
        c"HeapSize",
        c"RtlAllocateHeap",
        c"RtlFreeHeap",
        c"RtlReAllocateHeap",
        c"RtlSizeHeap",
    ];
    if imports::may_check_itself(module, &region) {
        return Some(HeapObstacle::Protected);
    }
    let is_hooked = |address| !is_known(address) && !replacements::is_replacement(address);
    imports::find_any(module, &region, &NAMES, is_hooked).map(HeapObstacle::Hooked)
}

/// Whether the process's heap can be taken over at all.
fn check_process() -> Result<(), HeapObstacle> {
    if import_tables::are_left_alone() {
        return Err(HeapObstacle::ImportTablesLeftAlone);
    }
    if loaded_modules().any(|module| module.name_is("verifier.dll")) {
        return Err(HeapObstacle::ApplicationVerifier);
    }
    if let Some(obstacle) = HeapObstacle::from_global_flags(global_flags()) {
        return Err(obstacle);
    }
    if is_executable(old_heap::process_heap() as usize) {
        return Err(HeapObstacle::ExecutableHeap);
    }
    Ok(())
}

/// Redirects ntdll's exports of the free side, for names that are looked up from now on.
fn redirect_exports() -> Result<RedirectedExports, HeapObstacle> {
    let ntdll = old_heap::ntdll().ok_or(HeapObstacle::NotInNtdll(HEAP_FUNCTIONS[0].native))?;
    export_table::redirect(&Windows, &ntdll, &|function, address| {
        replacements::keep_original(function, address);
        replacements::replacement(function, false)
    })
}
