//! Counters of foreign blocks, all of them on the cold path.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::once::ClearableOnce;

/// Where to count: memory of the engine's owner, which other processes may read.
#[derive(Clone, Copy)]
pub struct Counters {
    /// Foreign blocks that moved to mimalloc.
    pub migrated_blocks: &'static AtomicU64,
    /// Bytes of them: the sizes that they had in the old heap.
    pub migrated_bytes: &'static AtomicU64,
    /// Foreign blocks that the program freed.
    pub freed_blocks: &'static AtomicU64,
    /// Bytes of them.
    pub freed_bytes: &'static AtomicU64,
    /// Foreign blocks that were resized where they lay.
    pub resized_blocks: &'static AtomicU64,
    /// Foreign blocks that moved to mimalloc when a module whose allocations are served
    /// reallocated them by the heap API.
    pub heap_migrated_blocks: &'static AtomicU64,
    /// Bytes of them: the sizes that they had in the old heap.
    pub heap_migrated_bytes: &'static AtomicU64,
    /// Foreign blocks that such modules freed by the heap API.
    pub heap_freed_blocks: &'static AtomicU64,
    /// Called after every 256th foreign block, to update figures that are too expensive to be
    /// updated with each.
    pub now_and_then: fn(),
}

static COUNTERS: ClearableOnce<Counters> = ClearableOnce::new();

/// Counts in `counters` from now on. The first call counts, later ones change nothing.
pub(crate) fn set(counters: Counters) {
    COUNTERS.set(counters);
}

pub(crate) fn migrated(bytes: usize) {
    if let Some(counters) = COUNTERS.get() {
        add(counters, counters.migrated_blocks, counters.migrated_bytes, bytes);
    }
}

pub(crate) fn freed(bytes: usize) {
    if let Some(counters) = COUNTERS.get() {
        add(counters, counters.freed_blocks, counters.freed_bytes, bytes);
    }
}

pub(crate) fn resized() {
    if let Some(counters) = COUNTERS.get() {
        counters.resized_blocks.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn heap_migrated(bytes: usize) {
    if let Some(counters) = COUNTERS.get() {
        add(counters, counters.heap_migrated_blocks, counters.heap_migrated_bytes, bytes);
    }
}

pub(crate) fn heap_freed() {
    if let Some(counters) = COUNTERS.get() {
        counters.heap_freed_blocks.fetch_add(1, Ordering::Relaxed);
    }
}

fn add(counters: &Counters, blocks: &AtomicU64, total: &AtomicU64, bytes: usize) {
    const EVERY: u64 = 256;

    let before = blocks.fetch_add(1, Ordering::Relaxed);
    total.fetch_add(bytes as u64, Ordering::Relaxed);
    if before.is_multiple_of(EVERY) {
        (counters.now_and_then)();
    }
}
