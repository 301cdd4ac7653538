//! Mutated images: nothing panics, nothing grows without bound, and what is written can be read.
//!
//! A few thousand cases by default. The long run, in under a minute: `CARGO_PROFILE_DEV_OPT_LEVEL=2
//! ALLOGRAFT_FUZZ_CASES=1000000 cargo test -p allograft-image --test hostile`.

mod support;

use allograft_image::check::HeapUse;
use allograft_image::{Error, Image, ImageSummary, packer_of, patch_state};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use support::build_image::{Headroom, ImageSpec};
use support::{MACHINES, MODULE, patch_bytes, undo_bytes};

/// Bytes at the start of an image in which most headers lie.
const HEADERS: usize = 0x400;

/// The most that a result may be longer than its image: the largest section that is copied, the
/// image once more, and some.
const MAX_GROWTH: usize = 66 << 20;

/// One change to a file.
#[derive(Clone, Debug)]
enum Mutation {
    Write(usize, Vec<u8>),
    /// Copies a word from the first place to the second.
    CopyWord(usize, usize),
    Truncate(usize),
    Append(Vec<u8>),
}

impl Mutation {
    fn apply(&self, data: &mut Vec<u8>) {
        let len = data.len().max(1);
        match self {
            Mutation::Write(at, bytes) => write(data, at % len, bytes),
            Mutation::CopyWord(from, to) => {
                let word: Vec<u8> = data.iter().skip(from % len).take(4).copied().collect();
                write(data, to % len, &word);
            }
            Mutation::Truncate(at) => data.truncate(at % len),
            Mutation::Append(bytes) => data.extend_from_slice(bytes),
        }
    }
}

/// Overwrites what is at `at`, as far as the file reaches.
fn write(data: &mut [u8], at: usize, bytes: &[u8]) {
    data.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// A place in the file: in the headers more often than elsewhere, and mostly where a field begins.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (0..HEADERS / 4).prop_map(|word| word * 4),
        1 => 0..HEADERS,
        2 => (0..0x3000usize / 4).prop_map(|word| word * 4),
    ]
}

/// A value that lies at some edge, or any other.
fn word() -> impl Strategy<Value = u32> {
    let mut edges = vec![0x28, 0x3000, 0x5000, u32::MAX - 0x1000, u32::MAX];
    edges.extend((0..32).flat_map(|bit| [1 << bit, (1 << bit) - 1]));
    prop_oneof![3 => select(edges), 2 => 0u32..0x6000, 1 => any::<u32>()]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, value)| Mutation::Write(at, vec![value])),
        6 => (place(), word()).prop_map(|(at, value)| Mutation::Write(at, value.to_le_bytes().into())),
        2 => (place(), place()).prop_map(|(from, to)| Mutation::CopyWord(from, to)),
        1 => place().prop_map(Mutation::Truncate),
        1 => prop::collection::vec(any::<u8>(), 1..64).prop_map(Mutation::Append),
        1 => (place(), 1usize..256).prop_map(|(at, count)| Mutation::Write(at, vec![0; count])),
    ]
}

fn spec() -> impl Strategy<Value = ImageSpec> {
    let headroom =
        [Headroom::BehindTheTable, Headroom::InThePadding, Headroom::OverTheStub, Headroom::None];
    let (flags, dotnet) = (any::<[bool; 7]>(), prop::option::of(0u32..16));
    let random = (select(MACHINES.to_vec()), select(headroom.to_vec()), flags, dotnet);
    random.prop_map(|(machine, headroom, flags, dotnet)| {
        let [is_bound, delayed, states_addresses, is_flat, overlay, signed, resources] = flags;
        let delayed_imports = vec![("USER32.dll", vec!["MessageBoxW", "#7"])];
        ImageSpec {
            machine,
            headroom,
            is_bound,
            delays_by_address: is_bound && delayed,
            delayed: if delayed { delayed_imports } else { Vec::new() },
            states_addresses,
            is_flat,
            overlay: if overlay { b"appended".repeat(20) } else { Vec::new() },
            certificate: signed.then(|| vec![0xCE; 200]),
            resources: resources.then_some(([1, 2, 3, 4], "<assembly/>")),
            dotnet,
            ..ImageSpec::default()
        }
    })
}

/// Reads everything that can be read of `data`.
fn read_all(data: &[u8]) {
    let Ok(image) = Image::parse(data) else {
        return;
    };
    let _ =
        (image.file_version(), image.manifest(), image.certificates(), packer_of(image.headers()));
    let _ = (ImageSummary::new(&image), patch_state(&image, MODULE), image.exports());
    for module in image.imports().into_iter().flatten().take(16) {
        let _ = (module.crt(), image.functions(&module));
    }
    let _ = HeapUse::read(&image);
}

fn survives(data: &[u8]) -> Result<(), TestCaseError> {
    read_all(data);
    match patch_bytes(data, MODULE, true) {
        Ok((patched, _)) => {
            prop_assert!(patched.len() <= 2 * data.len() + MAX_GROWTH);
            read_all(&patched);
            prop_assert!(undo_bytes(&patched, false)?.equals(data));
        }
        Err(Error::SelfCheck(what)) => {
            return Err(TestCaseError::fail(format!("the self-check failed: {what}")));
        }
        Err(error) => prop_assert!(!error.to_string().contains('\n')),
    }
    for regardless in [false, true] {
        if let Ok(restored) = undo_bytes(data, regardless) {
            prop_assert!(restored.to_vec().len() <= 2 * data.len());
        }
    }
    Ok(())
}

fn cases() -> u32 {
    std::env::var("ALLOGRAFT_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4000)
}

proptest! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn mutated_images_are_read_patched_or_refused_but_never_trip_us(
        spec in spec(),
        patched_before in prop::bool::weighted(0.3),
        mutations in prop::collection::vec(mutation(), 0..6),
    ) {
        let mut data = spec.build();
        if patched_before && let Ok((patched, _)) = patch_bytes(&data, MODULE, true) {
            data = patched;
        }
        for mutation in &mutations {
            mutation.apply(&mut data);
        }
        survives(&data)?;
    }
}
