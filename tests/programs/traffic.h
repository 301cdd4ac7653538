/* Blocks that carry a pattern of their own, and operations on them at full speed: allocate, resize,
 * free, and hand to another thread. Every block is verified whenever it is touched. */

#ifndef ALLOGRAFT_TEST_TRAFFIC_H
#define ALLOGRAFT_TEST_TRAFFIC_H

#include "support.h"
#include <malloc.h>
#include <stdlib.h>

#ifndef SLOTS
#define SLOTS 64
#endif

enum { MAILBOXES = 64 };

/* The description of a block lies at its start; the pattern fills the rest. */
struct block {
    size_t size;
    uint64_t tag;
    bool aligned;
};

/* What one thread holds. */
struct traffic {
    uint64_t random;
    struct block *slots[SLOTS];
};

/* Where threads leave blocks for one another. */
static struct block *volatile mailboxes[MAILBOXES];

static volatile LONG64 next_tag;

static inline uint64_t seed_of(uint64_t seed, uint64_t thread) {
    return (seed + 1) * 0x9E3779B97F4A7C15ull + thread * 0xD1B54A32D192ED03ull;
}

static inline void write_block(struct block *block, size_t size, bool aligned) {
    block->size = size;
    block->tag = (uint64_t)InterlockedIncrement64(&next_tag);
    block->aligned = aligned;
    fill(block + 1, size - sizeof *block, block->tag);
}

static inline void verify(const struct block *block, size_t bytes) {
    size_t length = bytes - sizeof *block;
    size_t good = intact(block + 1, length, block->tag);
    CHECK(good == length, "block %llu of %zu bytes changed at byte %zu",
          (unsigned long long)block->tag, bytes, good);
}

static inline size_t random_size(uint64_t *random) {
    uint64_t draw = next_random(random);
    size_t most = draw % 1000 < 950 ? 500 : draw % 1000 < 998 ? 20000 : 200000;
    return sizeof(struct block) + (size_t)(next_random(random) % most);
}

static inline struct block *allocate(uint64_t *random) {
    size_t size = random_size(random);
    bool aligned = next_random(random) % 8 == 0;
    struct block *block = aligned ? _aligned_malloc(size, 64) : malloc(size);
    CHECK(block != NULL, "no memory for %zu bytes", size);
    if (block) {
        write_block(block, size, aligned);
    }
    return block;
}

static inline void release(struct block *block) {
    verify(block, block->size);
    if (block->aligned) {
        _aligned_free(block);
    } else {
        free(block);
    }
}

static inline struct block *resize(struct block *block, uint64_t *random) {
    size_t size = random_size(random);
    size_t kept = size < block->size ? size : block->size;
    verify(block, block->size);
    bool aligned = block->aligned;
    struct block *moved = aligned ? _aligned_realloc(block, size, 64) : realloc(block, size);
    CHECK(moved != NULL, "no memory for %zu bytes", size);
    if (!moved) {
        return block;
    }
    verify(moved, kept);
    write_block(moved, size, aligned);
    return moved;
}

static inline void operate(struct traffic *traffic) {
    uint64_t draw = next_random(&traffic->random);
    struct block **slot = &traffic->slots[draw / 16 % SLOTS];
    if (!*slot) {
        *slot = allocate(&traffic->random);
    } else if (draw % 16 < 4) {
        *slot = resize(*slot, &traffic->random);
    } else if (draw % 16 < 7) {
        *slot = InterlockedExchangePointer((void *volatile *)&mailboxes[draw / 4096 % MAILBOXES],
                                           *slot);
    } else {
        release(*slot);
        *slot = NULL;
    }
}

static inline void finish(struct traffic *traffic) {
    for (int i = 0; i < SLOTS; i++) {
        if (traffic->slots[i]) {
            release(traffic->slots[i]);
            traffic->slots[i] = NULL;
        }
    }
}

/* A given number of operations of the thread with the number `thread`. */
static inline void operate_for_a_while(uint64_t seed, uint64_t thread, int operations) {
    struct traffic traffic = {.random = seed_of(seed, thread)};
    for (int i = 0; i < operations; i++) {
        operate(&traffic);
    }
    finish(&traffic);
}

static volatile bool stop;

/* A thread that operates on the traffic in `parameter` until `stop`. */
static inline DWORD WINAPI operate_until_stop(void *parameter) {
    while (!stop) {
        operate(parameter);
    }
    finish(parameter);
    return 0;
}

/* Releases what threads left for one another, when none is at work any more. */
static inline void empty_mailboxes(void) {
    for (int i = 0; i < MAILBOXES; i++) {
        if (mailboxes[i]) {
            release(mailboxes[i]);
            mailboxes[i] = NULL;
        }
    }
}

/* After the traffic: the old heap is whole, and new blocks come from the heap that serves now. */
static inline void check_heaps(void) {
    CHECK(HeapValidate((HANDLE)_get_heap_handle(), 0, NULL), "the old heap is damaged");
    void *block = malloc(64);
    CHECK(in_current_heap(block), "blocks do not come from mimalloc");
    free(block);
}

/* Lets `operate_until_stop` and the other `threads` end, and checks all that they worked on. */
static inline void stop_and_check(HANDLE *threads, size_t count) {
    stop = true;
    if (await_threads(threads, count)) {
        empty_mailboxes();
        check_heaps();
    }
}

#endif
