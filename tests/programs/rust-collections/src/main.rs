//! Builds, grows and drops strings, vectors and maps on several threads, on the allocator that Rust
//! has by itself, and prints sums of what they held. Meets the harness in the middle, with all of
//! it alive.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, stdin};
use std::thread;

const THREADS: u64 = 4;
const WORDS: u64 = 20_000;

/// A thread's words with the numbers that they come from, and as text.
struct Words {
    by_word: HashMap<String, Vec<u64>>,
    text: String,
}

/// An aligned type, which Rust's allocator aligns on its own.
#[repr(align(64))]
#[derive(Clone)]
struct Line([u8; 64]);

fn word(number: u64) -> String {
    let mut hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let length = 1 + hash % 40;
    (0..length)
        .map(|_| {
            hash = hash.rotate_left(5).wrapping_mul(31);
            char::from(b'a' + (hash % 4) as u8)
        })
        .collect()
}

fn collect(thread: u64) -> Words {
    let mut words = Words { by_word: HashMap::new(), text: String::new() };
    for number in 0..WORDS {
        let word = word(thread * WORDS + number);
        words.text.push_str(&word);
        words.by_word.entry(word).or_default().push(number);
    }
    words
}

fn main() {
    let started: Vec<_> = (0..THREADS).map(|index| thread::spawn(move || collect(index))).collect();
    let mut collected: Vec<Words> =
        started.into_iter().map(|thread| thread.join().expect("no thread panics")).collect();
    let mut lines = vec![Line([7; 64]); 100];
    let zeroes = vec![0u64; 50_000];

    println!("ready {}", std::process::id());
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).expect("the harness answers");

    for words in &mut collected {
        words.by_word.retain(|word, _| word.len() % 3 != 0);
        words.text.push_str("the end");
        words.text.shrink_to_fit();
    }
    lines.resize(5_000, Line([9; 64]));
    let mut sorted: BTreeMap<&str, u64> = BTreeMap::new();
    for words in &collected {
        for (word, numbers) in &words.by_word {
            *sorted.entry(word).or_default() += numbers.iter().sum::<u64>();
        }
    }
    let (words, sum) = (sorted.len(), sorted.values().sum::<u64>());
    println!("{words} words, their numbers add up to {sum}");
    let (first, last) = (sorted.first_key_value(), sorted.last_key_value());
    println!("from {first:?} to {last:?}");
    let characters: usize = collected.iter().map(|words| words.text.len()).sum();
    println!("{characters} characters");
    let aligned = lines.iter().all(|line| line.0.as_ptr().addr().is_multiple_of(64));
    let bytes: u64 = lines.iter().flat_map(|line| line.0).map(u64::from).sum();
    println!("lines aligned: {aligned}, their bytes add up to {bytes}");
    println!("zeroes add up to {}", zeroes.iter().sum::<u64>());
    // What other threads allocated is freed here, and what this one did, there.
    drop(collected);
    thread::spawn(move || drop((lines, zeroes))).join().expect("no thread panics");
}
