//! `install()` in a Rust program on its default allocator, which calls `HeapAlloc`: as a C runtime
//! that is linked in does.

#![cfg(all(windows, any(target_arch = "x86", target_arch = "x86_64")))]

use windows_sys::Win32::System::Memory::{
    GetProcessHeap, HEAP_ZERO_MEMORY, HeapAlloc, HeapFree, HeapReAlloc, HeapSize,
};

#[test]
fn the_programs_own_heap_calls_and_rusts_default_allocator_come_to_mimalloc() {
    let text = "from before the takeover ".repeat(100);
    let mut old = text.clone();
    assert!(!allograft::owns(old.as_ptr()));

    let installed = allograft::install().expect("a takeover");
    assert!(installed.process_heap, "{installed}");
    assert!(installed.to_string().ends_with("the process's heap"), "{installed}");

    // SAFETY: the blocks are used as long as they are there, and within their sizes.
    unsafe {
        let heap = GetProcessHeap();
        let block = HeapAlloc(heap, HEAP_ZERO_MEMORY, 100).cast::<u8>();
        assert!(allograft::owns(block));
        assert_eq!(HeapSize(heap, 0, block.cast()), 100);
        let block = HeapReAlloc(heap, HEAP_ZERO_MEMORY, block.cast(), 5000).cast::<u8>();
        assert!(allograft::owns(block));
        assert!((0..5000).all(|index| *block.add(index) == 0));
        assert_ne!(HeapFree(heap, 0, block.cast()), 0);
    }

    assert!(allograft::owns(Box::leak(Box::new(7u8))));
    old.push_str(&text);
    assert!(allograft::owns(old.as_ptr()), "the old block moved when it grew");
    assert_eq!(old, text.repeat(2));
}
