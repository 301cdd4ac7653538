//! A Rust program with a C++ library inside. The Rust code allocates from mimalloc by its global
//! allocator, and the C++ code because the heap of its C runtime is taken over.
//!
//! On systems other than Windows the C++ code stays on its own heap, and the program says so.

use std::ffi::{c_char, c_int};
use std::process::ExitCode;

#[global_allocator]
static HEAP: allograft::Mimalloc = allograft::Mimalloc;

/// The C++ library's own structure.
#[repr(C)]
struct Words {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn words_new() -> *mut Words;
    fn words_add(words: *mut Words, text: *const c_char, length: usize) -> c_int;
    fn words_free(words: *mut Words);
}

fn main() -> ExitCode {
    // SAFETY: the function takes nothing. Freeing the structure after the takeover is allowed.
    let early = unsafe { words_new() };
    let installed = allograft::install();
    match &installed {
        Ok(report) => println!("{report}"),
        Err(error) => println!("the C++ library stays on its own heap: {error}"),
    }
    let most = count_words(early, "the cat and the dog and the bird");
    println!("the most frequent word is there {most} times");
    // SAFETY: nobody uses it any more.
    unsafe { words_free(early) };

    let boxed = Box::new(0u8);
    // SAFETY: the function takes nothing.
    let late = unsafe { words_new() };
    let (rust, cpp) = (allograft::owns(&raw const *boxed), allograft::owns(late));
    // SAFETY: nobody uses it any more.
    unsafe { words_free(late) };
    println!("on mimalloc: Rust {rust}, C++ {cpp}");
    if rust && cpp == installed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn count_words(words: *mut Words, text: &str) -> c_int {
    let add = |word: &str| {
        // SAFETY: the structure is alive, and the text as long.
        unsafe { words_add(words, word.as_ptr().cast(), word.len()) }
    };
    text.split_whitespace().map(add).max().unwrap_or(0)
}
