//! Reading what a program prints.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The lines of `stream`, read in a thread of its own. Bytes that are no UTF-8 are replaced, and
/// carriage returns at line ends dropped.
pub fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if sender.send(line.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    });
    receiver
}

/// All of `lines` that come within `patience`, each with a line end. Something that outlives a
/// program may hold its pipes open, so their end need not come.
pub fn text_of(lines: &Receiver<String>, patience: Duration) -> String {
    let until = Instant::now() + patience;
    let mut text = String::new();
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
