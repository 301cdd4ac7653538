//! What became of a takeover, read off the status page and put into words.

use crate::diagnosis::{Program, why_not_loaded};
use allograft_inject::{MAX_RUNTIMES, Page, RuntimeRecord, State};
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What the module has said about its process so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not said anything, or is still at work.
    Unsaid,
    /// The heap of at least one C runtime is taken over.
    TakenOver(Takeover),
    /// There is no C runtime in the process that it can take over.
    NoRuntime,
    /// The takeover failed for this reason.
    Failed(String),
    /// The module is loaded and was told to do nothing.
    Disabled,
}

/// The figures of a takeover.
#[derive(Debug, PartialEq, Eq)]
pub struct Takeover {
    runtimes: Vec<RuntimeTaken>,
    threads_stopped: u32,
    duration: Duration,
    /// Blocks and bytes that the old heap held, where the system tells them.
    old_heap: Option<(u64, u64)>,
}

#[derive(Debug, PartialEq, Eq)]
struct RuntimeTaken {
    name: String,
    version: [u16; 4],
    functions: u32,
}

impl Outcome {
    /// Reads the outcome off `page`, which belongs to another program and is not trusted to be
    /// well-formed.
    pub fn of(page: &Page) -> Outcome {
        let status = &page.status;
        match State::from_u32(status.state.load(Relaxed)) {
            None | Some(State::Empty | State::Attaching) => Outcome::Unsaid,
            Some(State::Active) => Outcome::TakenOver(Takeover::of(page)),
            Some(State::NoRuntime) => Outcome::NoRuntime,
            Some(State::Failed) => Outcome::Failed(message(page)),
            Some(State::Disabled) => Outcome::Disabled,
        }
    }

    /// Why `program` is on its own heap although `module` was to be loaded into it; nothing if it
    /// is on mimalloc.
    pub fn why_not(&self, module: &Path, program: &Program) -> Option<String> {
        match self {
            Outcome::TakenOver(takeover) => {
                takeover.is_of_windows_own().then(|| program.why_only_windows_own()).flatten()
            }
            Outcome::Unsaid => Some(why_not_loaded(module)),
            Outcome::NoRuntime => Some(program.why_no_runtime()),
            Outcome::Failed(reason) => Some(reason.clone()),
            Outcome::Disabled => {
                Some("the module was told to do nothing (MIMALLOC_DISABLE_REDIRECT)".to_owned())
            }
        }
    }
}

impl Takeover {
    fn of(page: &Page) -> Takeover {
        let status = &page.status;
        let count = status.runtime_count.load(Relaxed) as usize;
        Takeover {
            runtimes: status.runtimes[..count.min(MAX_RUNTIMES)]
                .iter()
                .map(RuntimeTaken::of)
                .filter(|runtime| runtime.functions > 0)
                .collect(),
            threads_stopped: status.threads_stopped.load(Relaxed),
            duration: Duration::from_nanos(status.attach_nanoseconds.load(Relaxed)),
            old_heap: (status.old_known.load(Relaxed) == 1)
                .then(|| (status.old_blocks.load(Relaxed), status.old_bytes.load(Relaxed))),
        }
    }
}

impl Takeover {
    /// Whether all that was taken over is the runtime that Windows' own DLLs bring into nearly
    /// every process.
    pub fn is_of_windows_own(&self) -> bool {
        self.runtimes.iter().all(|runtime| runtime.name.eq_ignore_ascii_case("msvcrt.dll"))
    }
}

impl RuntimeTaken {
    fn of(runtime: &RuntimeRecord) -> RuntimeTaken {
        let used = runtime.name.iter().take_while(|&&unit| unit != 0).count();
        RuntimeTaken {
            name: printable(&String::from_utf16_lossy(&runtime.name[..used])),
            version: runtime.version,
            functions: runtime.functions.load(Relaxed),
        }
    }
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("took over ")?;
        for (index, runtime) in self.runtimes.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            write!(f, "{runtime}")?;
        }
        write!(
            f,
            " in {:.1} ms ({} stopped)",
            self.duration.as_secs_f64() * 1e3,
            counted(u64::from(self.threads_stopped), "thread"),
        )?;
        match self.old_heap {
            Some((0, _)) => f.write_str("; the old heap was empty"),
            Some((blocks, bytes)) => write!(
                f,
                "; the old heap held {}, {}, which move as the program reallocates them",
                counted(blocks, "block"),
                size(bytes),
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RuntimeTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = counted(u64::from(self.functions), "function");
        write!(f, "{functions} of {}", self.name)?;
        match self.version {
            [0, 0, 0, 0] => Ok(()),
            [major, minor, build, revision] => write!(f, " {major}.{minor}.{build}.{revision}"),
        }
    }
}

fn message(page: &Page) -> String {
    let bytes = &page.status.message;
    let used = bytes.iter().take_while(|&&byte| byte != 0).count();
    match printable(String::from_utf8_lossy(&bytes[..used]).trim()) {
        empty if empty.is_empty() => "the module gave no reason".to_owned(),
        reason => reason,
    }
}

/// `text` on one line and without anything that could steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 block`, `1,234 blocks`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in the largest unit of which there is at least one.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = UNITS.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
        return counted(bytes, "byte");
    };
    let value = bytes as f64 / (1u64 << shift) as f64;
    if shift == 10 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(state: State) -> Box<Page> {
        // SAFETY: every field is plain data for which all zeroes is a value.
        let mut page: Box<Page> = unsafe { Box::new_zeroed().assume_init() };
        *page.status.state.get_mut() = state as u32;
        page
    }

    fn add_runtime(page: &mut Page, name: &str, version: [u16; 4], functions: u32) {
        let count = page.status.runtime_count.get_mut();
        let runtime = &mut page.status.runtimes[*count as usize];
        *count += 1;
        for (to, from) in runtime.name.iter_mut().zip(name.encode_utf16()) {
            *to = from;
        }
        runtime.version = version;
        *runtime.functions.get_mut() = functions;
    }

    fn sentence(page: &Page) -> String {
        match Outcome::of(page) {
            Outcome::TakenOver(takeover) => takeover.to_string(),
            other => panic!("not a takeover: {other:?}"),
        }
    }

    #[test]
    fn a_takeover_is_told_with_its_figures() {
        let mut page = page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [10, 0, 26100, 1742], 41);
        *page.status.threads_stopped.get_mut() = 5;
        *page.status.attach_nanoseconds.get_mut() = 812_345;
        *page.status.old_known.get_mut() = 1;
        *page.status.old_blocks.get_mut() = 1234;
        *page.status.old_bytes.get_mut() = 567 << 10;
        assert_eq!(
            sentence(&page),
            "took over 41 functions of ucrtbase.dll 10.0.26100.1742 in 0.8 ms (5 threads stopped); \
             the old heap held 1,234 blocks, 567 KiB, which move as the program reallocates them"
        );
    }

    #[test]
    fn what_is_not_known_of_a_takeover_is_left_out() {
        let mut page = page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [0; 4], 1);
        *page.status.threads_stopped.get_mut() = 1;
        assert_eq!(
            sentence(&page),
            "took over 1 function of ucrtbase.dll in 0.0 ms (1 thread stopped)"
        );
    }

    #[test]
    fn several_runtimes_are_told_one_after_another_and_untouched_ones_not_at_all() {
        let mut page = page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [10, 0, 1, 2], 41);
        add_runtime(&mut page, "skipped.dll", [0; 4], 0);
        add_runtime(&mut page, "ucrtbased.dll", [10, 0, 3, 4], 40);
        assert!(sentence(&page).starts_with(
            "took over 41 functions of ucrtbase.dll 10.0.1.2 and 40 functions of ucrtbased.dll 10.0.3.4 in"
        ));
    }

    #[test]
    fn an_empty_old_heap_is_said_to_be_empty() {
        let mut page = page(State::Active);
        *page.status.old_known.get_mut() = 1;
        assert!(sentence(&page).ends_with("; the old heap was empty"));
    }

    #[test]
    fn a_failure_carries_the_modules_reason_on_one_line() {
        let mut page = page(State::Failed);
        page.status.message[..16].copy_from_slice(b"no room\r\n\x1b[31m\xff ");
        let Outcome::Failed(reason) = Outcome::of(&page) else {
            panic!("not a failure");
        };
        assert_eq!(reason, "no room   [31m\u{fffd}");
    }

    #[test]
    fn a_failure_without_a_reason_says_so() {
        assert_eq!(
            Outcome::of(&page(State::Failed)),
            Outcome::Failed("the module gave no reason".into())
        );
    }

    #[test]
    fn a_count_of_runtimes_beyond_the_page_does_no_harm() {
        let mut page = page(State::Active);
        add_runtime(&mut page, "ucrtbase.dll", [0; 4], 3);
        *page.status.runtime_count.get_mut() = u32::MAX;
        assert!(sentence(&page).starts_with("took over 3 functions of ucrtbase.dll in"));
    }

    #[test]
    fn nothing_is_said_while_the_module_is_at_work() {
        assert_eq!(Outcome::of(&page(State::Empty)), Outcome::Unsaid);
        assert_eq!(Outcome::of(&page(State::Attaching)), Outcome::Unsaid);
        let mut unknown = page(State::Empty);
        *unknown.status.state.get_mut() = 77;
        assert_eq!(Outcome::of(&unknown), Outcome::Unsaid);
    }

    #[test]
    fn every_outcome_but_a_takeover_has_a_reason() {
        let why =
            |outcome: Outcome| outcome.why_not(Path::new("allograft.dll"), &Program::default());
        let mut taken = page(State::Active);
        add_runtime(&mut taken, "ucrtbase.dll", [0; 4], 3);
        assert_eq!(why(Outcome::of(&taken)), None);
        assert!(why(Outcome::Unsaid).unwrap().contains("did not load allograft.dll"));
        assert!(why(Outcome::NoRuntime).unwrap().contains("statically"));
        assert_eq!(why(Outcome::Failed("no room".into())).unwrap(), "no room");
        assert!(why(Outcome::Disabled).unwrap().contains("MIMALLOC_DISABLE_REDIRECT"));
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1,023 bytes"),
            (1024, "1 KiB"),
            (580_608, "567 KiB"),
            (1 << 20, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn digits_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
