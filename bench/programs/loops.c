// The plainest loops over the heap, on one thread.

#include "driver.h"

/* The state from which each workload draws; its prepare leaves it, its run goes on with it. */
static uint64_t state = 88172645463325252ull;

/* A block of 16 to 271 bytes, touched and freed at once. */
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

/* One block of every size stays, as it would in most programs. */
static void prepare_pair_among(void) {
    let_module_in();
    hold_every_size(288, &state);
}

enum { SLOTS = 1000 };
static volatile char *slots[SLOTS];

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

static void prepare_mix(void) {
    for (int i = 0; i < SLOTS; i++) {
        mix_once();
    }
    let_module_in();
    for (int i = 0; i < SLOTS; i++) {
        mix_once();
    }
}

/* A random slot of a thousand: freed if there is a block of 8 to 1,031 bytes in it, else filled
 * with one. */
static uint64_t run_mix(uint64_t operations) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        sum += mix_once();
    }
    return sum;
}

WORKLOADS({"pair", NULL, pair}, {"pair-among", prepare_pair_among, pair},
          {"mix", prepare_mix, run_mix})
