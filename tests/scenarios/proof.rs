//! A runtime whose own code could give mimalloc's blocks to the system's heap: Microsoft's own, and
//! copies with one more use of `HeapFree`.

use std::ops::Range;

use allograft_image::{Image, RuntimeReferences};
use allograft_tests::{Crt, Launch, Mode, ProgramRun, Stage};

/// The name under which the program loads the runtime.
const RUNTIME: &str = "msvcr120.dll";

const ON_MIMALLOC: &str = "on mimalloc\n";
const ON_ITS_OWN: &str = "on its own heap\n";

fn microsofts_runtime(crt: &Crt) -> Option<Vec<u8>> {
    let system = crt.prefix.as_ref()?.join("drive_c/windows");
    let file = system.join(Stage::load().target.system_folder).join("ucrtbase.dll");
    Some(std::fs::read(file).unwrap())
}

/// `file` with a call of `HeapFree` in padding between two functions. Returns the offset of its
/// operand in the loaded image, too.
fn with_a_call_of_heap_free(mut file: Vec<u8>) -> (Vec<u8>, u32) {
    let image = Image::parse(&file).unwrap();
    let headers = image.headers();
    let is_64 = headers.machine.is_64() == Some(true);
    let base = headers.image_base as u32;
    let slots = image.import_slots().unwrap();
    let (_, slot) = slots.into_iter().find(|(name, _)| *name == b"HeapFree").unwrap();
    let text = headers.sections.iter().find(|section| section.name() == ".text").unwrap();
    let to_file = |offset: u32| (offset - text.address + text.raw_offset) as usize;
    let code = text.address..text.address + text.virtual_size.min(text.raw_size);
    let caves = caves(&file[to_file(code.start)..to_file(code.end)], code.start);
    // An operand that is an address must be relocated, so there must be room for that.
    let (cave, relocation) = if is_64 {
        (caves[caves.len() / 2].start, None)
    } else {
        let free = free_relocations(&image);
        let usable: Vec<_> = caves
            .iter()
            .filter_map(|cave| {
                let page = cave.start & !0xFFF;
                let same_page = (cave.start + 3) & !0xFFF == page;
                let (_, entry) = free.iter().find(|(of, _)| *of == page && same_page)?;
                Some((cave.start, Some(*entry)))
            })
            .collect();
        usable[usable.len() / 2]
    };
    let operand = cave + 3;
    let value = if is_64 { slot.wrapping_sub(operand + 4) } else { base + slot };
    let at = to_file(cave + 1);
    file[at..at + 2].copy_from_slice(&[0xFF, 0x15]);
    file[at + 2..at + 6].copy_from_slice(&value.to_le_bytes());
    if let Some(entry) = relocation {
        file[entry..entry + 2].copy_from_slice(&(0x3000 | (operand & 0xFFF) as u16).to_le_bytes());
    }
    (file, operand)
}

/// Runs of padding with room for the call, as offsets in the image.
fn caves(code: &[u8], start: u32) -> Vec<Range<u32>> {
    const PADDING: u8 = 0xCC;
    let mut caves = Vec::new();
    let mut at = 0;
    for run in code.chunk_by(|a, b| (*a == PADDING) == (*b == PADDING)) {
        let place = start + at as u32;
        if run[0] == PADDING && run.len() >= 9 {
            caves.push(place..place + run.len() as u32);
        }
        at += run.len();
    }
    caves
}

/// Unused entries at the ends of blocks of relocations: the page of the block, and the place of the
/// entry in the file.
fn free_relocations(image: &Image<'_>) -> Vec<(u32, usize)> {
    let section = image.headers().sections.iter().find(|one| one.name() == ".reloc").unwrap();
    let table = image.bytes_at(section.address).unwrap();
    let number = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().unwrap());
    let end = image.directory(5).unwrap().size as usize;
    let mut free = Vec::new();
    let mut block = 0;
    while block < end {
        let next = block + number(block + 4) as usize;
        if table[next - 2..next] == [0, 0] {
            free.push((number(block), section.raw_offset as usize + next - 2));
        }
        block = next;
    }
    free
}

/// Runs the program with the runtime `file`, which it loads after the takeover has begun.
fn run(crt: &Crt, file: &[u8], options: &[&str], unproved: bool) -> ProgramRun {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("unknown_runtime.exe");
    std::fs::copy(stage.programs.join("unknown_runtime.exe"), &program).unwrap();
    std::fs::write(folder.path().join(RUNTIME), file).unwrap();
    let mut launch = Launch::new(stage, program).on(crt).mode(Mode::Early).native("msvcr120");
    for option in options {
        launch = launch.launcher_option(*option);
    }
    if unproved {
        launch = launch.env("ALLOGRAFT_UNPROVED", "1");
    }
    launch.run()
}

#[track_caller]
fn expect_proof(run: &ProgramRun, proof: &str) {
    run.expect_code(0).expect_transcript(ON_MIMALLOC);
    let report = run.expect_taken_over();
    let runtime = report.runtimes.iter().find(|runtime| runtime.name == RUNTIME);
    assert_eq!(runtime.expect("it was taken over").proof, proof, "{run}");
}

#[test]
fn microsofts_runtimes_are_proved_and_one_with_another_call_of_heap_free_is_not() {
    for crt in Stage::load().microsoft_crts() {
        let Some(file) = microsofts_runtime(crt) else { continue };
        let read = |file: &[u8]| RuntimeReferences::read(&Image::parse(file).unwrap()).unwrap();
        let original = read(&file);
        assert!(original.is_proof() && !original.is_wine, "{original:?}");
        let (changed, operand) = with_a_call_of_heap_free(file);
        let found = read(&changed);
        let places: Vec<_> = found.outside.iter().map(|one| (&*one.function, one.offset)).collect();
        assert_eq!(places, [("HeapFree", operand)], "{}", crt.name);
        assert_eq!(found.references, original.references + 1);
    }
}

#[test]
fn without_the_process_heap_a_runtime_is_taken_over_if_it_is_proved() {
    for crt in Stage::load().microsoft_crts() {
        let Some(file) = microsofts_runtime(crt) else { continue };
        expect_proof(&run(crt, &file, &["--heap", "off"], false), "scanned");
        let (changed, operand) = with_a_call_of_heap_free(file);
        let left_alone = run(crt, &changed, &["--heap", "off"], false);
        left_alone.expect_code(0).expect_transcript(ON_ITS_OWN);
        let message = &left_alone.report.as_ref().expect("a report").message;
        let place =
            format!("msvcr120.dll was not taken over: its code uses HeapFree at +{operand:#x} ");
        assert!(message.contains(&place), "{message}");
        assert!(message.contains("ALLOGRAFT_UNPROVED=1"), "{message}");
        expect_proof(&run(crt, &changed, &["--heap", "off"], true), "unproved");
    }
}

#[test]
fn with_the_process_heap_every_call_of_a_runtime_comes_to_mimalloc() {
    for crt in Stage::load().microsoft_crts() {
        let Some(file) = microsofts_runtime(crt) else { continue };
        let (changed, _) = with_a_call_of_heap_free(file);
        expect_proof(&run(crt, &changed, &[], false), "redirected");
    }
}

#[test]
fn wines_own_runtime_is_not_scanned() {
    let stage = Stage::load();
    let wines = stage.crts().iter().filter(|crt| crt.is_wine());
    for crt in wines {
        let off =
            stage.program("containers").on(crt).mode(Mode::Early).launcher_option("--heap=off");
        let run = off.run();
        run.expect_code(0);
        let report = run.expect_taken_over();
        let runtime = report.runtimes.iter().find(|runtime| runtime.name == "ucrtbase.dll");
        assert_eq!(runtime.expect("it was taken over").proof, "wine", "{run}");
    }
}
