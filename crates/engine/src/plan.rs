//! Which functions of a runtime are redirected, where to, and which are left alone. Decided before
//! anything is changed.

use core::ffi::CStr;

use allograft_detour::{Detour, Error, MAX_DETOURS};

use crate::entry_code;
use crate::error::TakeoverError;
use crate::functions::{ESSENTIAL, FUNCTIONS, Function};
use crate::module::Module;
use crate::runtime::CrtState;

/// Why an exported function of a runtime that was taken over is left as it is.
pub const SKIP_REASON: &str = "the runtime passes it on to another module";

/// What the plan asks of the runtime and of its replacements.
pub(crate) trait Source {
    /// The address of the function that the runtime exports as `name`.
    fn export(&self, name: &CStr) -> Option<usize>;
    /// The replacement of `function` as it works on `state`; of its body, for `body`. None if the
    /// runtime lacks what the replacement needs.
    fn replacement(&self, function: Function, state: CrtState, body: bool) -> Option<usize>;
}

/// The detours of one takeover, and the names that are left alone.
pub(crate) struct DetourPlan {
    detours: [Detour; MAX_DETOURS],
    count: usize,
    /// The exported names that the runtime forwards to another module.
    pub(crate) skipped: [Option<&'static CStr>; MAX_DETOURS],
    skipped_count: usize,
}

impl DetourPlan {
    /// Plans for every function that `module` exports.
    ///
    /// # Errors
    /// [`TakeoverError::Missing`], [`TakeoverError::AlreadyHooked`], or more functions than a
    /// transaction takes.
    pub(crate) fn new(module: &Module, source: &impl Source) -> Result<DetourPlan, TakeoverError> {
        let mut plan = DetourPlan {
            detours: [Detour::new(0, 0); MAX_DETOURS],
            count: 0,
            skipped: [None; MAX_DETOURS],
            skipped_count: 0,
        };
        for row in FUNCTIONS {
            let before = plan.count;
            for name in row.names {
                plan.add(module, source, row.function, name)?;
            }
            if plan.count == before && ESSENTIAL.contains(&row.function) {
                return Err(TakeoverError::Missing(row.names[0]));
            }
        }
        Ok(plan)
    }

    pub(crate) fn detours(&mut self) -> &mut [Detour] {
        &mut self.detours[..self.count]
    }

    fn add(
        &mut self,
        module: &Module,
        source: &impl Source,
        function: Function,
        name: &'static CStr,
    ) -> Result<(), TakeoverError> {
        let Some(target) = source.export(name) else {
            return Ok(());
        };
        if self.has(target) {
            return Ok(());
        }
        if !module.contains(target) {
            self.skipped[self.skipped_count] = Some(name);
            self.skipped_count += 1;
            return Ok(());
        }
        let state = CrtState::from_name(name);
        let (mut entry, mut is_body) = (target, false);
        while let Some(replacement) = source.replacement(function, state, is_body) {
            let place = self
                .detours
                .get_mut(self.count)
                .ok_or(TakeoverError::Detour(Error::TooMany(MAX_DETOURS)))?;
            *place = Detour::new(entry, replacement);
            self.count += 1;
            // An entry that is only a jump leads to the function's body, which the runtime's own
            // code calls directly. Without a detour there, such a call would give blocks of
            // mimalloc's to the old heap.
            //
            // SAFETY: the entry of a function in a loaded module can be read.
            match unsafe { entry_code::jump_target(entry) } {
                Some(to) if !module.contains(to) => {
                    return Err(TakeoverError::AlreadyHooked(name, to));
                }
                Some(to) if !self.has(to) => (entry, is_body) = (to, true),
                _ => break,
            }
        }
        Ok(())
    }

    fn has(&self, target: usize) -> bool {
        self.detours[..self.count].iter().any(|detour| detour.target == target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: usize = 32;

    /// A runtime in memory that exports some names, each at a function of its own.
    struct SimulatedRuntime {
        code: Vec<u8>,
        exports: Vec<(&'static CStr, usize)>,
        has_environment: bool,
    }

    impl SimulatedRuntime {
        fn new(names: &[&'static CStr]) -> SimulatedRuntime {
            let code = vec![0x90; (names.len() + 2) * SPACING];
            let start = code.as_ptr() as usize;
            let exports = names
                .iter()
                .enumerate()
                .map(|(index, &name)| (name, start + index * SPACING))
                .collect();
            SimulatedRuntime { code, exports, has_environment: true }
        }

        fn module(&self) -> Module {
            // SAFETY: the code lives longer than the module is used.
            unsafe { Module::new(self.code.as_ptr() as usize, self.code.len(), &[], &[]) }
        }

        fn plan(&self) -> Result<DetourPlan, TakeoverError> {
            DetourPlan::new(&self.module(), self)
        }

        fn address(&self, name: &CStr) -> usize {
            self.export(name).unwrap()
        }

        /// Makes the function begin with a jump to `to`.
        fn jump(&mut self, name: &CStr, to: usize) {
            let entry = self.address(name);
            let at = entry - self.code.as_ptr() as usize;
            self.code[at] = 0xE9;
            let displacement = to.wrapping_sub(entry + 5) as u32;
            self.code[at + 1..at + 5].copy_from_slice(&displacement.to_le_bytes());
        }
    }

    impl Source for SimulatedRuntime {
        fn export(&self, name: &CStr) -> Option<usize> {
            self.exports.iter().find(|(known, _)| *known == name).map(|&(_, address)| address)
        }
        fn replacement(&self, function: Function, state: CrtState, body: bool) -> Option<usize> {
            let needs_environment = matches!(function, Function::DupenvS | Function::WdupenvS);
            let number = function as usize * 4 + (state == CrtState::System) as usize * 2;
            (!needs_environment || self.has_environment).then_some(0x1000 + number + body as usize)
        }
    }

    const BASIC: [&CStr; 5] = [c"malloc", c"calloc", c"realloc", c"free", c"_msize"];

    fn all_names() -> Vec<&'static CStr> {
        FUNCTIONS.iter().flat_map(|row| row.names).copied().collect()
    }

    #[test]
    fn every_exported_name_is_redirected_to_the_replacement_of_its_function_and_state() {
        let runtime = SimulatedRuntime::new(&all_names());
        let mut plan = runtime.plan().unwrap();
        assert_eq!(plan.detours().len(), all_names().len());
        for row in FUNCTIONS {
            for name in row.names {
                let target = runtime.address(name);
                let detour = plan.detours().iter().find(|detour| detour.target == target).unwrap();
                let expected = runtime.replacement(row.function, CrtState::from_name(name), false);
                assert_eq!(Some(detour.replacement), expected, "{name:?}");
            }
        }
    }

    #[test]
    fn names_at_one_address_are_one_detour() {
        let mut runtime = SimulatedRuntime::new(&BASIC);
        runtime.exports.push((c"_malloc_base", runtime.address(c"malloc")));
        assert_eq!(runtime.plan().unwrap().detours().len(), BASIC.len());
    }

    #[test]
    fn a_runtime_that_lacks_an_essential_function_is_refused() {
        for missing in BASIC {
            let names: Vec<_> = BASIC.into_iter().filter(|&name| name != missing).collect();
            let result = SimulatedRuntime::new(&names).plan();
            assert!(
                matches!(result, Err(TakeoverError::Missing(name)) if name == missing),
                "{missing:?}"
            );
        }
        assert!(SimulatedRuntime::new(&[]).plan().is_err());
    }

    #[test]
    fn a_forwarded_export_is_left_alone_with_its_reason() {
        let mut runtime = SimulatedRuntime::new(&BASIC);
        runtime.exports.push((c"_expand", 0x10));
        let mut plan = runtime.plan().unwrap();
        assert_eq!(plan.detours().len(), BASIC.len());
        assert!(plan.skipped.into_iter().flatten().eq([c"_expand"]));
    }

    #[test]
    fn the_body_behind_an_entry_that_is_a_jump_is_redirected_too() {
        let mut runtime = SimulatedRuntime::new(&[&BASIC[..], &[c"_recalloc"]].concat());
        let body = runtime.code.as_ptr() as usize + runtime.code.len() - SPACING;
        runtime.jump(c"_recalloc", body);
        let mut plan = runtime.plan().unwrap();
        let detour = plan.detours().iter().find(|detour| detour.target == body).unwrap();
        let expected = runtime.replacement(Function::Recalloc, CrtState::Public, true);
        assert_eq!(Some(detour.replacement), expected);
    }

    #[test]
    fn a_function_that_another_tool_has_hooked_is_found() {
        let mut runtime = SimulatedRuntime::new(&BASIC);
        let hook = runtime.address(c"malloc") + 0x10_0000;
        runtime.jump(c"free", hook);
        let error = runtime.plan().err().expect("a failure");
        assert!(
            matches!(error, TakeoverError::AlreadyHooked(name, to) if name == c"free" && to == hook)
        );
        assert!(
            error.to_string().contains("another tool has already redirected its function free")
        );
    }

    #[test]
    fn a_runtime_without_an_environment_keeps_its_functions_for_it() {
        let mut runtime = SimulatedRuntime::new(&all_names());
        runtime.has_environment = false;
        assert_eq!(runtime.plan().unwrap().detours().len(), all_names().len() - 4);
    }
}
