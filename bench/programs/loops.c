// The simplest loops over the heap, on one thread.

#include "driver.h"

static uint64_t state = 88172645463325252ull;

/* Allocates a block of 16 to 271 bytes, touches it and frees it. */
static uint64_t pair(uint64_t operations) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        size_t size = 16 + (draw(&state) & 255);
        volatile char *block = malloc(size);
        *block = (char)size;
        sum += (uint64_t)*block;
        free((void *)block);
    }
    return sum;
}

static void prepare_pair_among(void) {
    let_module_in();
    hold_every_size(288, &state);
}

enum { SLOTS = 1000 };
static volatile char *slots[SLOTS];

/* A random slot of a thousand: freed if there is a block of 8 to 1,031 bytes in it, else filled
 * with one. */
static uint64_t mix_once(void) {
    uint64_t drawn = draw(&state);
    size_t slot = drawn % SLOTS;
    if (slots[slot]) {
        uint64_t held = (uint64_t)*slots[slot];
        free((void *)slots[slot]);
        slots[slot] = NULL;
        return held;
    }
    size_t size = 8 + (drawn >> 20 & 1023);
    slots[slot] = malloc(size);
    *slots[slot] = (char)size;
    return 0;
}

REPEATED(mix, SLOTS)

enum { BATCH = 1000, BATCH_SIZE = 32 };

/* A thousand blocks of 32 bytes are allocated, then freed; an operation is one block. */
static uint64_t batch(uint64_t operations) {
    static volatile char *blocks[BATCH];
    uint64_t sum = 0;
    for (uint64_t done = 0; done < operations; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            blocks[i] = malloc(BATCH_SIZE);
            *blocks[i] = (char)i;
        }
        for (int i = 0; i < BATCH; i++) {
            sum += (uint64_t)*blocks[i];
            free((void *)blocks[i]);
        }
    }
    return sum;
}

WORKLOADS({"pair", NULL, pair}, {"pair-among", prepare_pair_among, pair},
          {"mix", prepare_mix, run_mix}, {"batch", NULL, batch})
