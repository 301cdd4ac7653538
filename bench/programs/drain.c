// How the old heap drains: half of the blocks are allocated before the module is loaded, and the
// program replaces blocks at random.

#include "driver.h"

enum { SLOTS = 100000 };
static unsigned char *slots[SLOTS];
static uint64_t state = 0x9E3779B97F4A7C15ull;

#if defined(BENCH_BASELINE)

/* With BENCH_OLD the baseline has old blocks too, on the system's heap; it marks them in a table,
 * and frees them there itself. */
static bool is_old[SLOTS];

static void *first_block(int slot, size_t size) {
    static int has_old_blocks = -1;
    if (has_old_blocks < 0) {
        has_old_blocks = GetEnvironmentVariableA("BENCH_OLD", NULL, 0) > 0;
    }
    is_old[slot] = has_old_blocks && slot < SLOTS / 2;
    return is_old[slot] ? HeapAlloc(GetProcessHeap(), 0, size) : malloc(size);
}

static void release(size_t slot) {
    if (is_old[slot]) {
        is_old[slot] = false;
        HeapFree(GetProcessHeap(), 0, slots[slot]);
    } else {
        free(slots[slot]);
    }
}

static void *resized(size_t slot, size_t size) {
    if (!is_old[slot]) {
        return realloc(slots[slot], size);
    }
    size_t old_size = HeapSize(GetProcessHeap(), 0, slots[slot]);
    void *block = malloc(size);
    memcpy(block, slots[slot], old_size < size ? old_size : size);
    release(slot);
    return block;
}

#else

static void *first_block(int slot, size_t size) {
    (void)slot;
    return malloc(size);
}

static void release(size_t slot) { free(slots[slot]); }

static void *resized(size_t slot, size_t size) { return realloc(slots[slot], size); }

#endif

static void fill_slots(int from, int to) {
    for (int i = from; i < to; i++) {
        size_t size = 8 + (draw(&state) & 1023);
        slots[i] = first_block(i, size);
        slots[i][0] = (unsigned char)size;
    }
}

static void prepare(void) {
    fill_slots(0, SLOTS / 2);
    let_module_in();
    fill_slots(SLOTS / 2, SLOTS);
}

/* Replaces the block in a random slot of 100,000 by one of 8 to 1,031 bytes; every fourth is
 * reallocated instead. */
static uint64_t run(uint64_t operations) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t drawn = draw(&state);
        size_t slot = (drawn >> 12) % SLOTS, size = 8 + (drawn & 1023);
        sum += slots[slot][0];
        if ((drawn >> 40 & 3) == 0) {
            slots[slot] = resized(slot, size);
        } else {
            release(slot);
            slots[slot] = malloc(size);
        }
        slots[slot][0] = (unsigned char)size;
    }
    return sum;
}

WORKLOADS({"drain", prepare, run}, {"drained", prepare, run})
