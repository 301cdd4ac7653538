//! How far the runs are.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar on standard error, if that is a terminal. It is gone when this is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many runs; none unless it is to be shown.
    pub fn of(runs: u64, shown: bool) -> Progress {
        let bar = match shown {
            true => ProgressBar::new(runs),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
        bar.set_style(style.expect("the template is well-formed"));
        bar.enable_steady_tick(Duration::from_secs(1));
        Progress(bar)
    }

    /// Says which run is next.
    pub fn begin(&self, run: &str) {
        self.0.set_message(run.to_owned());
    }

    /// Counts a run as done.
    pub fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
