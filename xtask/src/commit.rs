//! The commit that is checked out: what is built from it names it, and takes its time.

use std::env;
use std::process::Command;

use time::OffsetDateTime;

use crate::layout;

/// The earliest time that a zip can state, 1980-01-01; for sources without git.
const EARLIEST: i64 = 315_532_800;

pub struct Commit {
    /// Its abbreviated hash, with `-modified` behind it if files differ from it; `unknown` without
    /// git.
    pub id: String,
    /// When it was made, or what `SOURCE_DATE_EPOCH` says.
    pub time: OffsetDateTime,
}

impl Commit {
    pub fn read() -> Commit {
        let id = git(&["rev-parse", "--short=12", "HEAD"]);
        let is_modified = git(&["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
        let named = env::var("SOURCE_DATE_EPOCH").ok();
        let time = named.or_else(|| git(&["show", "--no-patch", "--format=%ct", "HEAD"]));
        let seconds = time.and_then(|seconds| seconds.parse().ok()).unwrap_or(EARLIEST);
        Commit {
            id: match id {
                Some(id) if is_modified => format!("{id}-modified"),
                Some(id) => id,
                None => "unknown".to_owned(),
            },
            time: time_of(seconds),
        }
    }

    /// Whether the files are exactly those of the commit.
    pub fn is_clean(&self) -> bool {
        self.id != "unknown" && !self.id.ends_with("-modified")
    }
}

fn time_of(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds.max(EARLIEST))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(EARLIEST))
}

/// What git prints about the checkout, if there is a git, and this is a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(layout::root()).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_earlier_than_a_zip_can_state() {
        assert_eq!(time_of(0).to_string(), "1980-01-01 0:00:00.0 +00:00:00");
        assert_eq!(time_of(i64::MAX), time_of(0));
        assert_eq!(time_of(1_700_000_000).to_string(), "2023-11-14 22:13:20.0 +00:00:00");
    }
}
