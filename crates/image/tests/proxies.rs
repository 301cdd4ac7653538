//! Proxies: they are valid images, and export what they should.

mod support;

use allograft_image::{
    Error, Export, Machine, build_proxy, checksum, is_proxy, known_exports, known_names,
};
use support::{MODULE, imports, parse};

const MACHINES: [Machine; 2] = [Machine::X86, Machine::X64];

fn proxy(machine: Machine, name: &str) -> Vec<u8> {
    build_proxy(machine, name, MODULE, &known_exports(name).unwrap()).unwrap()
}

fn function(ordinal: u16, name: Option<&str>) -> Export {
    Export { ordinal, name: name.map(str::to_owned), is_code: true }
}

#[test]
fn a_proxy_exports_what_it_stands_in_for_by_name_and_by_ordinal() {
    let all = known_names().flat_map(|name| MACHINES.map(|machine| (machine, name)));
    for (machine, name) in all {
        let bytes = proxy(machine, name);
        let image = parse(&bytes);
        assert_eq!(image.headers().machine, machine);
        assert!(image.headers().is_dll());
        let mut expected = known_exports(name).unwrap();
        expected.sort_by_key(|export| export.ordinal);
        assert_eq!(image.exports().unwrap(), expected, "{name}");
    }
}

#[test]
fn a_proxy_imports_kernel32_alone_and_says_that_it_is_one() {
    for machine in MACHINES {
        let bytes = proxy(machine, "version.dll");
        assert_eq!(imports(&bytes).0, ["kernel32.dll"]);
        assert!(is_proxy(&bytes));
        assert!(!is_proxy(&bytes[..0x60]));
    }
}

#[test]
fn the_checksum_is_right_and_the_same_arguments_make_the_same_bytes() {
    for machine in MACHINES {
        let bytes = proxy(machine, "winmm.dll");
        assert_eq!(bytes, proxy(machine, "winmm.dll"));
        let stated = parse(&bytes).headers().checksum;
        let place = bytes.windows(4).position(|word| word == stated.to_le_bytes()).unwrap();
        let mut without = bytes;
        without[place..place + 4].fill(0);
        assert_eq!(checksum(&without), stated);
    }
}

#[test]
fn no_section_of_a_proxy_can_be_both_written_and_executed() {
    const EXECUTE: u32 = 0x2000_0000;
    for machine in MACHINES {
        let bytes = proxy(machine, "d3d11.dll");
        for section in &parse(&bytes).headers().sections {
            assert!(!section.is_writable() || section.characteristics & EXECUTE == 0);
        }
    }
}

#[test]
fn thousands_of_exports_with_gaps_and_two_names_for_one_fit() {
    let mut exports: Vec<Export> = (0..3000u16)
        .map(|n| function(5 + 2 * n, (n % 3 != 0).then_some(format!("Function{n}")).as_deref()))
        .collect();
    exports.push(function(7, Some("AnotherName")));
    let order = |export: &Export| (export.ordinal, export.name.clone());
    exports.sort_by_key(order);
    for machine in MACHINES {
        let bytes = build_proxy(machine, "many.dll", MODULE, &exports).unwrap();
        let mut read = parse(&bytes).exports().unwrap();
        read.sort_by_key(order);
        assert_eq!(read, exports);
    }
}

#[test]
fn variables_bad_names_and_nothing_are_refused_in_words() {
    let variable = Export { is_code: false, ..function(1, Some("table")) };
    let error = build_proxy(Machine::X64, "a.dll", MODULE, &[variable]).unwrap_err();
    assert!(error.to_string().contains("variable (table)"), "{error}");
    let known = known_exports("version.dll").unwrap();
    for name in ["", "a\\b.dll", "C:a.dll", "\u{e9}.dll"] {
        assert!(
            matches!(build_proxy(Machine::X64, name, MODULE, &known), Err(Error::ModuleName(_))),
            "{name}"
        );
    }
    assert!(matches!(build_proxy(Machine::X86, "a.dll", MODULE, &[]), Err(Error::NoExports)));
    let error = build_proxy(Machine::Arm64, "a.dll", MODULE, &known).unwrap_err();
    assert!(error.to_string().contains("not for ARM64"), "{error}");
}

#[test]
fn decorated_names_are_passed_on_as_they_are() {
    let exports = [function(1, Some("_Plain@8")), function(2, Some("@Fast@4"))];
    let bytes = build_proxy(Machine::X86, "old.dll", MODULE, &exports).unwrap();
    assert_eq!(parse(&bytes).exports().unwrap(), exports);
}
