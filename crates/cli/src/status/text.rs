//! The state of a process for a person.

use super::figures::{Amount, Figures};
use crate::outcome::{counted, size};
use std::fmt;

/// Cells of the bar.
const BAR: u64 = 40;

/// Several lines, the first of which names the process.
pub struct Text<'a>(pub &'a Figures);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.0;
        writeln!(f, "{} (process {}): {}", figures.name, figures.pid, state(figures))?;
        for runtime in &figures.runtimes {
            writeln!(
                f,
                "  took over   {} of {} {}",
                counted(runtime.functions.into(), "function"),
                runtime.name,
                runtime.version
            )?;
        }
        if let Some(seconds) = figures.attached_at {
            writeln!(
                f,
                "  attached    {}, in {:.1} ms ({} stopped)",
                Moment(seconds),
                figures.attach_microseconds / 1e3,
                counted(figures.threads_stopped.into(), "thread")
            )?;
        }
        if !figures.runtimes.is_empty() {
            self.old_heap(f)?;
        }
        if figures.committed_bytes > 0 {
            writeln!(
                f,
                "  mimalloc    {} in use of {} committed, {} at most (version {})",
                size(figures.used_bytes),
                size(figures.committed_bytes),
                size(figures.peak_committed_bytes),
                figures.mimalloc_version
            )?;
        }
        Ok(())
    }
}

impl Text<'_> {
    fn old_heap(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.0;
        if let (Some(old), Some(left)) = (figures.old_heap, figures.outstanding) {
            writeln!(f, "  old heap    {} when it was taken over", Shown(old))?;
            writeln!(f, "  [{}] {} left", bar(left.bytes, old.bytes), Shown(left))?;
        } else {
            writeln!(f, "  old heap    not counted (--count counts it at the takeover)")?;
        }
        writeln!(
            f,
            "  since then  {} moved to mimalloc, {} freed",
            Shown(figures.migrated),
            Shown(figures.freed)
        )
    }
}

fn state(figures: &Figures) -> String {
    match figures.state {
        "active" => "on mimalloc".to_owned(),
        "no-runtime" => "no C runtime that can be taken over, so far".to_owned(),
        "failed" => format!("on its own heap: {}", figures.message),
        "disabled" => "on its own heap: the module was told to do nothing".to_owned(),
        "attaching" => "being taken over".to_owned(),
        other => other.to_owned(),
    }
}

/// What is left of the old heap, as a bar that gets shorter.
fn bar(left: u64, of: u64) -> String {
    let cells = (u128::from(left.min(of)) * u128::from(BAR)).div_ceil(u128::from(of.max(1)));
    let cells = cells as usize;
    "#".repeat(cells) + &".".repeat(BAR as usize - cells)
}

struct Shown(Amount);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", counted(self.0.blocks, "block"), size(self.0.bytes))
    }
}

/// A moment in seconds since 1970, shown in universal time.
struct Moment(u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
    }
}

/// Year, month and day of the day with this number since the first of 1970, in the Gregorian
/// calendar. Years are reckoned from March, so that the leap day is the last of its year.
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
    use allograft_inject::{Page, State};

    fn page() -> Box<Page> {
        // SAFETY: every field is plain data for which all zeroes is a value.
        let mut page: Box<Page> = unsafe { Box::new_zeroed().assume_init() };
        let status = &mut page.status;
        *status.state.get_mut() = State::Active as u32;
        *status.attached_at.get_mut() = 133_000_000_000_000_000;
        *status.attach_nanoseconds.get_mut() = 1_500_000;
        *status.runtime_count.get_mut() = 1;
        for (to, from) in status.runtimes[0].name.iter_mut().zip("ucrtbase.dll".encode_utf16()) {
            *to = from;
        }
        status.runtimes[0].version = [10, 0, 26100, 1742];
        *status.runtimes[0].functions.get_mut() = 46;
        *status.migrated_blocks.get_mut() = 1;
        *status.migrated_bytes.get_mut() = 512;
        *status.mimalloc_used.get_mut() = 2 << 20;
        *status.mimalloc_committed.get_mut() = 3 << 20;
        *status.mimalloc_committed_peak.get_mut() = 4 << 20;
        status.mimalloc_version = 30302;
        page
    }

    fn text(page: &Page) -> String {
        Text(&Figures::of(page, 42, "game.exe")).to_string()
    }

    #[test]
    fn a_takeover_is_told_with_when_and_what() {
        assert_eq!(
            text(&page()),
            "game.exe (process 42): on mimalloc\n\
             \x20 took over   46 functions of ucrtbase.dll 10.0.26100.1742\n\
             \x20 attached    2022-06-18 04:26:40 UTC, in 1.5 ms (0 threads stopped)\n\
             \x20 old heap    not counted (--count counts it at the takeover)\n\
             \x20 since then  1 block (512 bytes) moved to mimalloc, 0 blocks (0 bytes) freed\n\
             \x20 mimalloc    2.0 MiB in use of 3.0 MiB committed, 4.0 MiB at most (version 3.3.2)\n"
        );
    }

    #[test]
    fn a_counted_heap_has_a_bar() {
        let mut page = page();
        *page.status.old_known.get_mut() = 1;
        *page.status.old_blocks.get_mut() = 4;
        *page.status.old_bytes.get_mut() = 1024;
        let text = text(&page);
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
    fn a_failure_is_told_with_its_reason() {
        let mut page = page();
        *page.status.state.get_mut() = State::Failed as u32;
        *page.status.runtime_count.get_mut() = 0;
        page.status.message[..7].copy_from_slice(b"no room");
        assert!(text(&page).starts_with("game.exe (process 42): on its own heap: no room\n"));
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
