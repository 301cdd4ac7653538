//! A status page in words: one line for `run` and `inject`, several for `status`.

use crate::output::{Palette, counted, size};
use crate::page_reading::{HeapBlocks, PageReading, ProcessHeapReading, RuntimeReading};
use allograft_inject::{HeapState, RuntimeProof, State};
use std::fmt::Write;

/// Width of the bar, in characters.
const BAR_WIDTH: u64 = 40;

/// What was taken over, in one line.
pub fn summary(reading: &PageReading) -> String {
    let runtimes = reading.runtimes.iter().filter(|runtime| runtime.functions > 0);
    let heap = Some(&reading.process_heap).filter(|heap| heap.is_served()).and_then(whose_heap);
    let heap = heap.map(|whose| format!("the process's heap ({whose})"));
    let taken_over: Vec<String> = runtimes.map(functions_of).chain(heap).collect();
    let old_heap = match reading.old_heap {
        Some(HeapBlocks { blocks: 0, .. }) => "; the old heap was empty".to_owned(),
        Some(HeapBlocks { blocks, bytes }) => format!(
            "; the old heap held {}, {}, which move as the program reallocates them",
            counted(blocks, "block"),
            size(bytes),
        ),
        None => String::new(),
    };
    format!("took over {} in {}{old_heap}", taken_over.join(" and "), effort(reading))
}

/// All that is known, in several lines, the first of which names the process.
pub fn details(reading: &PageReading, palette: &Palette) -> String {
    let state = state(reading, palette);
    let mut text = format!("{} (process {}): {state}\n", reading.name, reading.pid);
    let mut line = |label: &str, what: String| {
        writeln!(text, "  {label:<11} {what}").expect("writing to a string does not fail");
    };
    for runtime in &reading.runtimes {
        line("took over", functions_of(runtime));
    }
    if reading.exact_sizes {
        line("sizes", "_msize answers exactly what was asked for".to_owned());
    }
    for (label, what) in process_heap(&reading.process_heap) {
        line(label, what);
    }
    if let Some(seconds) = reading.attached_at {
        line("attached", format!("{}, in {}", date_and_time(seconds), effort(reading)));
    }
    if !reading.runtimes.is_empty() {
        if let (Some(old), Some(left)) = (reading.old_heap, reading.outstanding) {
            line("old heap", format!("{} when it was taken over", blocks(old)));
            let bar = format!("[{}]", bar(left.bytes, old.bytes));
            line(&bar, format!("{} left", blocks(left)));
        } else {
            line("old heap", "not counted (--count counts it at the takeover)".to_owned());
        }
        let (migrated, freed) = (blocks(reading.migrated), blocks(reading.freed));
        line("since then", format!("{migrated} moved to mimalloc, {freed} freed"));
    }
    if let Some(mistakes) = reading.mistakes {
        line("mistakes", format!("{} found (--check-frees)", counted(mistakes.into(), "mistake")));
    }
    if reading.state == Some(State::Active) && !reading.message.is_empty() {
        line("note", reading.message.clone());
    }
    if reading.committed_bytes > 0 {
        line(
            "mimalloc",
            format!(
                "{} in use of {} committed, {} at most (version {})",
                size(reading.used_bytes),
                size(reading.committed_bytes),
                size(reading.peak_committed_bytes),
                reading.mimalloc_version
            ),
        );
    }
    text
}

/// The process's heap in labelled lines; none if the module did not get as far.
fn process_heap(heap: &ProcessHeapReading) -> Vec<(&'static str, String)> {
    let redirected = || {
        let freeing = match heap.slots_allocating {
            0 => format!("{} for freeing", counted(heap.slots_freeing.into(), "import slot")),
            allocating => format!(
                "{} for allocating, {} for freeing",
                counted(allocating.into(), "import slot"),
                heap.slots_freeing
            ),
        };
        let modules = counted(heap.modules.into(), "module");
        let mut slots = vec![format!("{freeing}, in {modules}")];
        if heap.exports > 0 {
            slots.push(counted(heap.exports.into(), "export"));
        }
        if heap.private_heaps > 0 {
            slots.push(format!(
                "{} of a linked-in runtime",
                counted(heap.private_heaps.into(), "private heap")
            ));
        }
        slots.join(", ")
    };
    let mut lines = Vec::new();
    match heap.state {
        None | Some(HeapState::Untouched) => return lines,
        Some(HeapState::Off) => lines.push(("heap", "left alone, as the settings ask".to_owned())),
        Some(HeapState::LeftAlone) => lines.push(("heap", format!("left alone: {}", heap.reason))),
        Some(HeapState::FreeSide) => {
            lines.push(("heap", format!("only freeing is redirected: {}", redirected())));
            if !heap.reason.is_empty() {
                lines.push(("", format!("allocations are left alone: {}", heap.reason)));
            }
        }
        Some(HeapState::Program | HeapState::All) => {
            let whose = whose_heap(heap).unwrap_or_default();
            lines.push(("heap", format!("the process's, {whose}: {}", redirected())));
            let freed = counted(heap.freed_blocks, "old block");
            lines.push(("", format!("{} moved to mimalloc, {freed} freed", blocks(heap.migrated))));
        }
    }
    if let Some(escapes) = heap.escapes {
        let escapes = counted(escapes, "block");
        lines.push(("escapes", format!("{escapes} of mimalloc's reached the original heap")));
    }
    lines
}

/// Whose allocations from the process's heap are served, if anybody's are.
fn whose_heap(heap: &ProcessHeapReading) -> Option<&'static str> {
    match heap.state? {
        HeapState::Program => Some("for the program"),
        HeapState::All => Some("for all modules but Windows' own"),
        _ => None,
    }
}

/// `41 functions of ucrtbase.dll 10.0.26100.1742`
fn functions_of(runtime: &RuntimeReading) -> String {
    let functions = counted(runtime.functions.into(), "function");
    let unproved = match runtime.proof {
        Some(RuntimeProof::Missing) => " (unproved)",
        _ => "",
    };
    match runtime.version.0 {
        [0, 0, 0, 0] => format!("{functions} of {}{unproved}", runtime.name),
        _ => format!("{functions} of {} {}{unproved}", runtime.name, runtime.version),
    }
}

/// `0.8 ms (5 threads stopped)`
fn effort(reading: &PageReading) -> String {
    let threads = counted(reading.threads_stopped.into(), "thread");
    format!("{:.1} ms ({threads} stopped)", reading.attach_microseconds / 1e3)
}

fn state(reading: &PageReading, palette: &Palette) -> String {
    let style = match reading.state {
        Some(State::Active) => palette.good,
        Some(State::Failed) => palette.bad,
        _ => palette.warning,
    };
    let words = match reading.state {
        Some(State::Empty | State::Attaching) => "being taken over".to_owned(),
        Some(State::Active) => "on mimalloc".to_owned(),
        Some(State::NoRuntime) => "no C runtime that can be taken over, so far".to_owned(),
        Some(State::Failed) => format!("on its own heap: {}", reading.message),
        Some(State::Disabled) => "on its own heap: the module was told to do nothing".to_owned(),
        None => "unknown".to_owned(),
    };
    format!("{style}{words}{style:#}")
}

fn bar(left: u64, total: u64) -> String {
    let filled =
        (u128::from(left.min(total)) * u128::from(BAR_WIDTH)).div_ceil(u128::from(total.max(1)));
    let filled = filled as usize;
    "#".repeat(filled) + &".".repeat(BAR_WIDTH as usize - filled)
}

fn blocks(HeapBlocks { blocks, bytes }: HeapBlocks) -> String {
    format!("{} ({})", counted(blocks, "block"), size(bytes))
}

/// A time in seconds since 1970 as `2022-06-18 04:26:40 UTC`.
fn date_and_time(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day in the Gregorian calendar, of a day counted from 1970-01-01. The years of
/// the calculation begin in March, so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_YEAR_0: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_FROM_YEAR_0;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    let month = if january_or_february { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(january_or_february), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_reading::sample::{
        self, add_runtime, count_old_heap, leave_heap_alone, serve_heap,
    };
    use allograft_inject::Page;

    fn page() -> Box<Page> {
        let mut page = sample::page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [10, 0, 26100, 1742], 46);
        let status = &mut page.status;
        *status.attached_at.get_mut() = 133_000_000_000_000_000;
        *status.attach_nanoseconds.get_mut() = 1_512_345;
        *status.migrated_blocks.get_mut() = 1;
        *status.migrated_bytes.get_mut() = 512;
        *status.mimalloc_used.get_mut() = 2 << 20;
        *status.mimalloc_committed.get_mut() = 3 << 20;
        *status.mimalloc_committed_peak.get_mut() = 4 << 20;
        status.mimalloc_version = 30302;
        page
    }

    fn summary_of(page: &Page) -> String {
        summary(&PageReading::new(page, "game.exe"))
    }

    fn details_of(page: &Page) -> String {
        details(&PageReading::new(page, "game.exe"), &Palette::PLAIN)
    }

    #[test]
    fn a_takeover_is_summed_up_in_one_line() {
        let mut page = page();
        *page.status.threads_stopped.get_mut() = 5;
        count_old_heap(&mut page, 1234, 567 << 10);
        assert_eq!(
            summary_of(&page),
            "took over 46 functions of ucrtbase.dll 10.0.26100.1742 in 1.5 ms (5 threads stopped); \
             the old heap held 1,234 blocks, 567 KiB, which move as the program reallocates them"
        );
    }

    #[test]
    fn the_summary_leaves_out_what_is_not_known() {
        let mut page = sample::page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [0; 4], 1);
        *page.status.threads_stopped.get_mut() = 1;
        assert_eq!(
            summary_of(&page),
            "took over 1 function of ucrtbase.dll in 0.0 ms (1 thread stopped)"
        );
    }

    #[test]
    fn the_summary_names_every_runtime_that_was_taken_over_and_no_other() {
        let mut page = page();
        add_runtime(&mut page, "skipped.dll", [0; 4], 0);
        add_runtime(&mut page, "ucrtbased.dll", [10, 0, 3, 4], 40);
        assert!(summary_of(&page).starts_with(
            "took over 46 functions of ucrtbase.dll 10.0.26100.1742 \
             and 40 functions of ucrtbased.dll 10.0.3.4 in"
        ));
    }

    #[test]
    fn a_runtime_that_was_taken_over_without_a_proof_is_marked() {
        let mut page = page();
        *page.status.runtimes[0].proof.get_mut() = RuntimeProof::Missing as u32;
        let marked = "46 functions of ucrtbase.dll 10.0.26100.1742 (unproved)";
        assert!(summary_of(&page).contains(marked) && details_of(&page).contains(marked));
    }

    #[test]
    fn an_empty_old_heap_is_called_empty() {
        let mut page = page();
        count_old_heap(&mut page, 0, 0);
        assert!(summary_of(&page).ends_with("; the old heap was empty"));
    }

    #[test]
    fn the_details_have_the_time_and_the_numbers() {
        assert_eq!(
            details_of(&page()),
            "game.exe (process 42): on mimalloc\n\
             \x20 took over   46 functions of ucrtbase.dll 10.0.26100.1742\n\
             \x20 attached    2022-06-18 04:26:40 UTC, in 1.5 ms (0 threads stopped)\n\
             \x20 old heap    not counted (--count counts it at the takeover)\n\
             \x20 since then  1 block (512 bytes) moved to mimalloc, 0 blocks (0 bytes) freed\n\
             \x20 mimalloc    2.0 MiB in use of 3.0 MiB committed, 4.0 MiB at most (version 3.3.2)\n"
        );
    }

    #[test]
    fn mistakes_are_counted_where_they_are_looked_for() {
        let mut page = page();
        assert!(!details_of(&page).contains("mistake"));
        *page.status.checks_frees.get_mut() = 1;
        *page.status.heap_mistakes.get_mut() = 2;
        assert!(details_of(&page).contains("\n  mistakes    2 mistakes found (--check-frees)\n"));
    }

    #[test]
    fn only_the_state_has_a_colour() {
        let reading = PageReading::new(&page(), "game.exe");
        let text = details(&reading, &Palette::COLOURED);
        let (first, rest) = text.split_once('\n').unwrap();
        let good = Palette::COLOURED.good;
        assert_eq!(first, format!("game.exe (process 42): {good}on mimalloc{good:#}"));
        assert!(!rest.contains('\x1b'), "{rest}");
    }

    #[test]
    fn a_counted_heap_has_a_bar() {
        let mut page = page();
        count_old_heap(&mut page, 4, 1024);
        let text = details_of(&page);
        let expected =
            format!("  [{}{}] 3 blocks (512 bytes) left\n", "#".repeat(20), ".".repeat(20));
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn the_bar_is_empty_only_when_nothing_is_left() {
        assert_eq!(bar(0, 0), ".".repeat(40));
        assert_eq!(bar(0, u64::MAX), ".".repeat(40));
        assert_eq!(bar(1, u64::MAX), "#".to_owned() + &".".repeat(39));
        assert_eq!(bar(u64::MAX, 5), "#".repeat(40));
    }

    #[test]
    fn the_summary_names_the_process_heap_where_it_is_served() {
        let mut page = page();
        serve_heap(&mut page, HeapState::FreeSide);
        assert!(!summary_of(&page).contains("heap"), "{}", summary_of(&page));
        serve_heap(&mut page, HeapState::Program);
        assert!(summary_of(&page).starts_with(
            "took over 46 functions of ucrtbase.dll 10.0.26100.1742 and the process's heap (for \
             the program) in 1.5 ms"
        ));
        *page.status.runtime_count.get_mut() = 0;
        serve_heap(&mut page, HeapState::All);
        assert!(summary_of(&page).starts_with(
            "took over the process's heap (for all modules but Windows' own) in 1.5 ms"
        ));
    }

    #[test]
    fn the_details_have_the_process_heap_with_what_was_redirected() {
        let mut page = page();
        serve_heap(&mut page, HeapState::Program);
        let heap = &mut page.status.heap;
        (*heap.migrated_blocks.get_mut(), *heap.migrated_bytes.get_mut()) = (2, 64);
        (*heap.freed_blocks.get_mut(), *heap.private_heaps.get_mut()) = (1, 1);
        let text = details_of(&page);
        assert!(
            text.contains(
                "\n  heap        the process's, for the program: 2 import slots for allocating, \
                 131 for freeing, in 23 modules, 9 exports, 1 private heap of a linked-in runtime\n\
                 \x20             2 blocks (64 bytes) moved to mimalloc, 1 old block freed\n"
            ),
            "{text}"
        );
        *page.status.heap.exact_sizes.get_mut() = 1;
        assert!(details_of(&page).contains("\n  sizes       _msize answers exactly what was"));
        *page.status.heap.escapes_known.get_mut() = 1;
        let escapes = "\n  escapes     0 blocks of mimalloc's reached the original heap\n";
        assert!(details_of(&page).contains(escapes));
    }

    #[test]
    fn a_heap_that_is_not_served_has_its_reason_in_the_details() {
        let mut page = page();
        serve_heap(&mut page, HeapState::FreeSide);
        assert!(details_of(&page).contains(
            "\n  heap        only freeing is redirected: 131 import slots for freeing, in 23 modules, \
             9 exports\n"
        ));
        leave_heap_alone(&mut page, "it is guarded");
        serve_heap(&mut page, HeapState::FreeSide);
        assert!(
            details_of(&page)
                .contains("\n              allocations are left alone: it is guarded\n")
        );
        let mut page = self::page();
        leave_heap_alone(&mut page, "page heap is on");
        assert!(details_of(&page).contains("\n  heap        left alone: page heap is on\n"));
        serve_heap(&mut page, HeapState::Off);
        assert!(details_of(&page).contains("left alone, as the settings ask"));
    }

    #[test]
    fn a_message_about_a_program_on_mimalloc_is_a_note() {
        let mut page = page();
        page.status.message[..9].copy_from_slice(b"bad words");
        assert!(details_of(&page).contains("\n  note        bad words\n"));
    }

    #[test]
    fn a_failure_is_described_with_its_reason() {
        let mut page = sample::page(State::Failed);
        page.status.message[..7].copy_from_slice(b"no room");
        assert_eq!(details_of(&page), "game.exe (process 42): on its own heap: no room\n");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(11_017), (2000, 3, 1));
        assert_eq!(date(20_777), (2026, 11, 20));
        assert_eq!(date(47_540), (2100, 2, 28));
        assert_eq!(date(47_541), (2100, 3, 1));
    }
}
