//! What the check reports about programs and the files beside them.

mod support;

use allograft_image::check::{
    CheckReport, Dotnet, Route, RuntimesHeap, StaticRuntime, check, nothing_to_take_over,
};
use allograft_image::{FileVersion, Machine};
use std::fs;
use support::build_image::ImageSpec;
use support::{MODULE, parse, patch_bytes};
use tempfile::TempDir;

const NO_CRT: &str = "KERNEL32.dll";

fn importing(modules: &[&'static str]) -> ImageSpec {
    let imports = modules.iter().map(|&module| (module, vec!["f"])).collect();
    ImageSpec { imports, ..ImageSpec::default() }
}

fn dll(modules: &[&'static str]) -> ImageSpec {
    ImageSpec { is_dll: true, ..importing(modules) }
}

fn folder(files: &[(&str, ImageSpec)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, spec) in files {
        fs::write(folder.path().join(name), spec.build()).unwrap();
    }
    folder
}

fn report(folder: &TempDir) -> CheckReport {
    check(&folder.path().join("game.exe")).unwrap()
}

/// The report on a program that has nothing beside it.
fn report_on(program: ImageSpec) -> CheckReport {
    report(&folder(&[("game.exe", program)]))
}

fn why_useless(folder: &TempDir) -> Option<String> {
    let path = folder.path().join("game.exe");
    let data = fs::read(&path).unwrap();
    nothing_to_take_over(&path, &parse(&data)).unwrap()
}

#[test]
fn a_program_on_the_universal_crt_will_work_and_the_command_is_named() {
    let folder = folder(&[("game.exe", ImageSpec::default())]);
    let report = report(&folder);
    assert!(report.verdict.works);
    assert_eq!(report.verdict.route, Route::Run);
    let path = folder.path().join("game.exe");
    assert_eq!(report.verdict.command, format!("allograft run -- {}", path.display()));
    assert_eq!(report.crts[0].used_by, ["game.exe"]);
    assert_eq!(why_useless(&folder), None);
}

#[test]
fn a_c_runtime_is_found_through_a_chain_of_dlls_in_any_case_of_letters() {
    let report = report(&folder(&[
        ("game.exe", importing(&["ENGINE.DLL"])),
        ("engine.dll", dll(&["Core.dll"])),
        ("core.dll", dll(&["ucrtbase.dll", "engine.dll"])),
    ]));
    assert_eq!(report.verdict.reason, "it imports core.dll, which uses ucrtbase.dll");
    assert_eq!(report.crts[0].used_by, ["core.dll"]);
}

#[test]
fn a_dll_that_may_be_loaded_later_counts_as_such() {
    let files = [("game.exe", importing(&[NO_CRT])), ("plugin.dll", dll(&["ucrtbase.dll"]))];
    let report = report(&folder(&files));
    assert!(report.verdict.works);
    assert!(report.verdict.reason.contains("plugin.dll beside it, which it may load"));
    assert_eq!(report.crts[0].maybe_used_by, ["plugin.dll"]);
}

#[test]
fn a_compiler_s_runtime_file_and_a_dll_for_another_machine_prove_nothing() {
    let other = ImageSpec { machine: Machine::X86, ..dll(&["ucrtbase.dll"]) };
    for (name, dll) in [("vcruntime140.dll", dll(&["ucrtbase.dll"])), ("plugin.dll", other)] {
        let folder = folder(&[("game.exe", importing(&[NO_CRT])), (name, dll)]);
        assert!(!report(&folder).verdict.works, "{name}");
        let why = why_useless(&folder).unwrap();
        assert!(why.starts_with("it links its C runtime statically"), "{name}: {why}");
    }
}

#[test]
fn the_version_of_a_c_runtime_beside_the_program_is_reported() {
    let crt = ImageSpec { resources: Some(([10, 0, 26100, 1742], "")), ..dll(&[NO_CRT]) };
    let folder = folder(&[("game.exe", ImageSpec::default()), ("ucrtbase.dll", crt)]);
    assert_eq!(report(&folder).crts[0].version_beside, Some(FileVersion([10, 0, 26100, 1742])));
}

#[test]
fn the_reason_names_what_the_program_imports() {
    let cases = [
        ("MSVCR120.dll", true, "it imports msvcr120.dll, whose heap allograft takes over"),
        (
            "MSVCR71.dll",
            false,
            "its C runtime is msvcr71.dll (Visual C++ .NET 2003), which allograft does not take over yet",
        ),
        (
            "tbbmalloc_proxy.dll",
            false,
            "it imports tbbmalloc_proxy.dll, which brings an allocator of its own: two replacements do not go together",
        ),
    ];
    for (module, works, reason) in cases {
        let verdict = report_on(importing(&[module])).verdict;
        assert_eq!((verdict.works, &*verdict.reason), (works, reason));
    }
    let verdict = report_on(importing(&["ucrtbase.dll", "tbbmalloc_proxy.dll"])).verdict;
    assert_eq!((verdict.works, &*verdict.reason), (false, cases[2].2));
}

#[test]
fn statically_linked_runtimes_are_guessed_from_the_strings_they_leave() {
    let wide: Vec<u8> = "mscoree.dll".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases = [
        ([&wide[..], b"\0\0CorExitProcess\0"].concat(), StaticRuntime::VisualC),
        (b"\xff Go buildinf:".to_vec(), StaticRuntime::Go),
        (b"/rustc/0123456789/library/std".to_vec(), StaticRuntime::Rust),
    ];
    for (strings, expected) in cases {
        let report = report_on(ImageSpec { strings, ..importing(&[NO_CRT]) });
        assert_eq!(report.static_runtime, Some(expected));
    }
}

/// Code of a linked-in runtime: it stores what the import slot `origin` returns, and passes it to
/// what the import slots `calls` hold.
fn runtime_code(machine: Machine, at: u32, handle: u32, origin: u32, calls: &[u32]) -> Vec<u8> {
    let is_64 = machine == Machine::X64;
    let mut code = Vec::new();
    let mut naming = |opcode: &[u8], target: u32| {
        code.extend_from_slice(opcode);
        let next = at + code.len() as u32 + 4;
        // The image base of made-up images.
        let value = if is_64 { target.wrapping_sub(next) } else { 0x0040_0000 + target };
        code.extend(value.to_le_bytes());
    };
    naming(&[0xFF, 0x15], origin);
    naming(if is_64 { &[0x48, 0x89, 0x05] } else { &[0xA3] }, handle);
    for call in calls {
        naming(if is_64 { &[0x48, 0x8B, 0x0D] } else { &[0xFF, 0x35] }, handle);
        naming(&[0xFF, 0x15], *call);
    }
    code
}

/// A program with a linked-in runtime that takes its heap from the function `origin`.
fn with_linked_runtime(machine: Machine, origin: &'static str) -> ImageSpec {
    const CODE: u32 = 0x1040;
    const HANDLE: u32 = 0x3010;
    let functions = vec!["HeapAlloc", "HeapFree", "HeapReAlloc", "HeapSize", origin];
    let imports = vec![("KERNEL32.dll", functions)];
    let mut spec = ImageSpec { machine, imports, ..ImageSpec::default() };
    let data = spec.build();
    let slots: Vec<u32> =
        parse(&data).import_slots().unwrap().into_iter().map(|(_, slot)| slot).collect();
    let calls = [slots[0], slots[0], slots[1], slots[2], slots[3]];
    spec.strings = runtime_code(machine, CODE, HANDLE, slots[4], &calls);
    spec
}

#[test]
fn a_linked_in_runtime_is_seen_by_its_heap_and_served() {
    for machine in [Machine::X64, Machine::X86] {
        for (origin, heap, words) in [
            ("GetProcessHeap", RuntimesHeap::Process, "from the process's heap"),
            ("HeapCreate", RuntimesHeap::Private, "makes a heap of its own"),
        ] {
            let folder = folder(&[("game.exe", with_linked_runtime(machine, origin))]);
            let report = report(&folder);
            let runtime = report.heap_use.linked_runtime.unwrap();
            assert_eq!((runtime.heap, runtime.allocations, runtime.frees), (heap, 2, 1));
            assert_eq!(report.static_runtime, Some(StaticRuntime::VisualC));
            let reason = report.verdict.reason;
            assert!(report.verdict.works && reason.contains(words), "{reason}");
            assert_eq!(why_useless(&folder), None);
        }
    }
}

#[test]
fn programs_that_call_the_heap_api_themselves_are_served_and_dlls_only_on_demand() {
    let imports = vec![("ntdll.dll", vec!["RtlAllocateHeap"])];
    let spec = ImageSpec { imports, ..ImageSpec::default() };
    let verdict = report_on(spec.clone()).verdict;
    assert!(verdict.works && verdict.reason.contains("its HeapAlloc"), "{}", verdict.reason);
    let verdict = report_on(ImageSpec { is_dll: true, ..spec.clone() }).verdict;
    assert!(!verdict.works && verdict.reason.contains("--heap all"), "{}", verdict.reason);
    let packed = ImageSpec { section_names: ["UPX0", "UPX1", "UPX2"], ..spec };
    let verdict = report_on(packed).verdict;
    assert!(!verdict.works && verdict.reason.contains("packed"), "{}", verdict.reason);
}

#[test]
fn rust_and_allocators_of_their_own_are_named_with_what_shows_them() {
    let imports = vec![("KERNEL32.dll", vec!["HeapAlloc", "HeapWalk", "VirtualAlloc"])];
    let strings = b"/rustc/0123456789/library/std\0mimalloc: warning: ".to_vec();
    let report = report_on(ImageSpec { imports, strings, ..ImageSpec::default() });
    let heap = &report.heap_use;
    assert!(heap.allocates && heap.linked_runtime.is_none());
    assert!(heap.rust.unwrap().contains("/rustc/"));
    assert!(heap.own_allocator.unwrap().contains("mimalloc"));
    assert!(report.verdict.reason.ends_with("so that may be little"), "{}", report.verdict.reason);
    assert!(report.mitigations.iter().any(|it| it.code == "walks-heaps"));
    let imports = vec![("KERNEL32.dll", vec!["VirtualAlloc"])];
    let report = report_on(ImageSpec { imports, ..ImageSpec::default() });
    assert!(report.heap_use.own_allocator.unwrap().contains("by pages"));
    assert!(!report.verdict.works, "there is nothing to serve");
}

#[test]
fn anti_cheat_software_overrules_everything_and_the_danger_is_named() {
    let folder = folder(&[("game.exe", ImageSpec::default())]);
    fs::create_dir(folder.path().join("EasyAntiCheat")).unwrap();
    let verdict = report(&folder).verdict;
    assert!(!verdict.works && verdict.command.is_empty());
    for word in ["Easy Anti-Cheat", "banned"] {
        assert!(verdict.reason.contains(word), "{}", verdict.reason);
    }
}

#[test]
fn programs_of_both_bitnesses_work_and_those_of_other_machines_do_not() {
    for (machine, works) in [(Machine::X86, true), (Machine::X64, true), (Machine::Arm64, false)] {
        let verdict = report_on(ImageSpec { machine, ..ImageSpec::default() }).verdict;
        assert_eq!(verdict.works, works, "{}", verdict.reason);
        assert!(works || verdict.reason.contains("ARM64"), "{}", verdict.reason);
    }
}

#[test]
fn pure_dotnet_has_nothing_to_take_over() {
    let report = report_on(ImageSpec { dotnet: Some(1), ..importing(&["mscoree.dll"]) });
    assert_eq!(report.dotnet, Some(Dotnet::Pure));
    assert_eq!(report.verdict.reason, "it holds .NET code only, whose memory .NET manages itself");
}

#[test]
fn what_forbids_patching_is_said_and_control_flow_guard_does_not() {
    let manifest = "<requestedExecutionLevel level=\"requireAdministrator\" uiAccess=\"true\"/>";
    let report = report_on(ImageSpec {
        dll_characteristics: 0x4000 | 0x0080,
        resources: Some(([1, 0, 0, 0], manifest)),
        imports: vec![
            ("KERNEL32.dll", vec!["SetProcessMitigationPolicy"]),
            ("ucrtbase.dll", vec!["malloc"]),
        ],
        ..ImageSpec::default()
    });
    let seen: Vec<_> = report.mitigations.iter().map(|it| (it.code, it.forbids_patching)).collect();
    let expected = [
        ("guard-cf", false),
        ("force-integrity", true),
        ("sets-mitigation-policy", false),
        ("requires-administrator", false),
        ("ui-access", true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_patched_program_is_said_to_be_that_and_needs_no_command() {
    let folder = folder(&[("game.exe", ImageSpec::default())]);
    let path = folder.path().join("game.exe");
    let (patched, _) = patch_bytes(&fs::read(&path).unwrap(), MODULE, false).unwrap();
    fs::write(&path, patched).unwrap();
    let report = report(&folder);
    assert_eq!(report.patched_with.as_deref(), Some("allograft.dll"));
    assert!(report.verdict.works && report.verdict.command.is_empty());
}
