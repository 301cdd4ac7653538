// How blocks of the old heap go: half of what the program holds is from before the module came, and it replaces blocks at random.

#include "driver.h"

enum { SLOTS = 100000 };
static unsigned char *slots[SLOTS];
static uint64_t state = 0x9E3779B97F4A7C15ull;

static void fill_slots(int from, int to) {
    for (int i = from; i < to; i++) {
        size_t size = 8 + (draw(&state) & 1023);
        slots[i] = malloc(size);
        slots[i][0] = (unsigned char)size;
    }
}

static void prepare(void) {
    fill_slots(0, SLOTS / 2);
    let_module_in();
    fill_slots(SLOTS / 2, SLOTS);
}

/* A random slot of 100,000 gets another block of 8 to 1,031 bytes; every fourth is reallocated instead. */
static uint64_t run(uint64_t operations) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t drawn = draw(&state);
        size_t slot = (drawn >> 12) % SLOTS, size = 8 + (drawn & 1023);
        sum += slots[slot][0];
        if ((drawn >> 40 & 3) == 0) {
            slots[slot] = realloc(slots[slot], size);
        } else {
            free(slots[slot]);
            slots[slot] = malloc(size);
        }
        slots[slot][0] = (unsigned char)size;
    }
    return sum;
}

WORKLOADS({"drain", prepare, run}, {"drained", prepare, run})
