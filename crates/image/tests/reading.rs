//! Reading images: imports, functions, resources, and what is wrong with broken ones.

mod support;

use allograft_image::{
    Error, FileVersion, Image, ImageSummary, ImportedFunction, Machine, Subsystem,
};
use support::build_image::ImageSpec;
use support::{MACHINES, imports, parse, set};

#[test]
fn imports_are_read_in_order_on_every_machine_the_delayed_ones_last() {
    for machine in MACHINES {
        let delayed = vec![("USER32.dll", vec!["MessageBoxW"])];
        let data = ImageSpec { machine, delayed, ..ImageSpec::default() }.build();
        assert_eq!(parse(&data).headers().machine, machine);
        let (ordinary, delayed) = imports(&data);
        assert_eq!(ordinary, ["KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll"]);
        assert_eq!(delayed, ["USER32.dll"]);
    }
}

#[test]
fn functions_are_read_by_name_and_by_number_on_every_machine() {
    for machine in MACHINES {
        let imports = vec![("WS2_32.dll", vec!["#115", "send"])];
        let data = ImageSpec { machine, imports, ..ImageSpec::default() }.build();
        let image = parse(&data);
        let modules = image.imports().unwrap();
        assert_eq!(
            image.functions(&modules[0]).unwrap(),
            [ImportedFunction::Ordinal(115), ImportedFunction::Name(b"send")]
        );
    }
}

#[test]
fn delayed_imports_of_the_old_kind_are_read_through_their_addresses() {
    let (machine, delayed) = (Machine::X86, vec![("USER32.dll", vec!["MessageBoxA", "#9"])]);
    let spec = ImageSpec { machine, delays_by_address: true, delayed, ..ImageSpec::default() };
    let data = spec.build();
    let image = parse(&data);
    let module = image.imports().unwrap().pop().unwrap();
    assert_eq!(module.name, "USER32.dll");
    assert_eq!(
        image.functions(&module).unwrap(),
        [ImportedFunction::Name(b"MessageBoxA"), ImportedFunction::Ordinal(9)]
    );
}

#[test]
fn bound_imports_are_told_apart() {
    for is_bound in [false, true] {
        let data = ImageSpec { is_bound, ..ImageSpec::default() }.build();
        let modules = parse(&data).imports().unwrap();
        assert!(modules.iter().all(|module| module.bound == is_bound), "{is_bound}");
    }
}

#[test]
fn an_image_without_imports_imports_nothing() {
    let data = ImageSpec { imports: Vec::new(), ..ImageSpec::default() }.build();
    assert!(parse(&data).imports().unwrap().is_empty());
}

#[test]
fn a_summary_names_each_c_runtime_once() {
    let imports = vec![
        ("api-ms-win-crt-heap-l1-1-0.dll", vec!["malloc"]),
        ("MSVCR100.dll", vec!["free"]),
        ("api-ms-win-crt-runtime-l1-1-0.dll", vec!["exit"]),
    ];
    let data = ImageSpec { imports, ..ImageSpec::default() }.build();
    let summary = ImageSummary::new(&parse(&data)).unwrap();
    let files: Vec<_> = summary.crt_imports.iter().map(|crt| crt.file).collect();
    assert_eq!(files, ["ucrtbase.dll", "msvcr100.dll"]);
    assert_eq!((summary.machine, summary.subsystem), (Machine::X64, Subsystem::Console));
    assert!(!summary.is_dll && !summary.is_dotnet);
}

#[test]
fn version_and_manifest_are_read_from_the_resources() {
    let resources = Some(([10, 0, 26100, 1742], "<assembly/>"));
    let data = ImageSpec { resources, ..ImageSpec::default() }.build();
    let image = parse(&data);
    assert_eq!(image.file_version(), Some(FileVersion([10, 0, 26100, 1742])));
    assert_eq!(image.file_version().unwrap().to_string(), "10.0.26100.1742");
    assert_eq!(image.manifest().as_deref(), Some("<assembly/>"));
}

#[test]
fn what_is_no_image_is_called_so() {
    for data in [&b""[..], b"MZ", b"#!/bin/sh\n", &[0x4D; 4096]] {
        let error = Image::parse(data).unwrap_err();
        assert!(matches!(error, Error::NotAnImage(_)), "{error}");
        assert!(error.to_string().starts_with("not a PE image: "));
    }
}

#[test]
fn an_image_cut_within_its_headers_is_called_truncated() {
    let data = ImageSpec::default().build();
    let error = Image::parse(&data[..0x1A0]).unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

#[test]
fn a_32_bit_header_on_a_64_bit_machine_is_a_contradiction() {
    let mut data = ImageSpec { machine: Machine::X86, ..ImageSpec::default() }.build();
    data[0x84..0x86].copy_from_slice(&0x8664u16.to_le_bytes());
    let error = Image::parse(&data).unwrap_err();
    assert_eq!(
        error.to_string(),
        "contradictory headers: the optional header is not of the kind that x86-64 has"
    );
}

#[test]
fn an_import_table_that_begins_or_ends_outside_the_image_is_an_error() {
    let mut data = ImageSpec::default().build();
    let end = parse(&data).headers().size_of_image;
    let directory = 0x80 + 24 + 112 + 8;
    for address in [0x00FF_0000, end - 7] {
        set(&mut data, directory, address);
        let error = parse(&data).imports().unwrap_err().to_string();
        let expected = "contradictory headers: the import table lies outside the image";
        assert_eq!(error, expected, "{address:#x}");
    }
    set(&mut data, directory, end - 20);
    assert!(parse(&data).imports().unwrap().is_empty());
}

#[test]
fn a_table_that_is_cut_off_with_the_file_is_an_error() {
    let data = ImageSpec::default().build();
    let end = parse(&data).headers().sections[1].raw_offset as usize;
    assert!(Image::parse(&data[..end + 4]).unwrap().imports().is_err());
}
