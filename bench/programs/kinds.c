// The heap functions besides malloc and free, each in a loop over some hundred live blocks, on one
// thread.

#include "driver.h"

static uint64_t state = 0x9E3779B97F4A7C15ull;

enum { SLOTS = 500 };
static unsigned char *slots[SLOTS];

/* A random slot of 500 emptied and filled with a zeroed block of 8 to 2,160 bytes. */
static uint64_t calloc_once(void) {
    uint64_t drawn = draw(&state);
    size_t slot = drawn % SLOTS, count = 1 + (drawn >> 16 & 15), size = 8 + (drawn >> 24 & 127);
    free(slots[slot]);
    slots[slot] = calloc(count, size);
    uint64_t dirt = (uint64_t)(slots[slot][0] | slots[slot][count * size - 1]);
    slots[slot][0] = slots[slot][count * size - 1] = 0xFF;
    return dirt + count * size;
}

REPEATED(calloc, SLOTS)

/* A random slot of 500 emptied and filled with a block of 16 to 1,039 bytes, aligned to 16 to 512.
 */
static uint64_t aligned_once(void) {
    uint64_t drawn = draw(&state);
    size_t slot = drawn % SLOTS, alignment = (size_t)16 << (drawn >> 16) % 6,
           size = 16 + (drawn >> 24 & 1023);
    _aligned_free(slots[slot]);
    slots[slot] = _aligned_malloc(size, alignment);
    slots[slot][0] = (unsigned char)size;
    return ((uintptr_t)slots[slot] & (alignment - 1)) + slots[slot][0];
}

REPEATED(aligned, SLOTS)

enum { VECTOR_FIRST = 64, VECTOR_LAST = 256 * 1024, STRING_LAST = 4000 };

/* A vector that doubles from 64 bytes to 256 KiB, and writes its new half; an operation is one
 * growth. */
static uint64_t run_vector(uint64_t operations) {
    uint64_t sum = 0;
    unsigned char *vector = NULL;
    size_t size = 0;
    for (uint64_t i = 0; i < operations; i++) {
        size_t grown = size == 0 ? VECTOR_FIRST : size * 2;
        vector = realloc(vector, grown);
        memset(vector + size, (int)(i & 127), grown - size);
        sum += vector[0] + vector[grown - 1];
        size = grown;
        if (size == VECTOR_LAST) {
            at_peak();
            free(vector);
            vector = NULL;
            size = 0;
        }
    }
    free(vector);
    return sum;
}

/* A string that grows by 1 to 32 bytes until it has 4,000, always reallocated to its exact length;
 * an operation is one append. */
static uint64_t run_string(uint64_t operations) {
    uint64_t sum = 0;
    char *string = NULL;
    size_t length = 0;
    for (uint64_t i = 0; i < operations; i++) {
        size_t more = 1 + (draw(&state) & 31);
        string = realloc(string, length + more + 1);
        memset(string + length, 'x', more);
        length += more;
        string[length] = 0;
        sum += length;
        if (length > STRING_LAST) {
            free(string);
            string = NULL;
            length = 0;
        }
    }
    free(string);
    return sum;
}

/* Holds a block of every size that the string passes through. */
static void prepare_string_among(void) {
    let_module_in();
    hold_every_size(STRING_LAST + 96, &state);
}

WORKLOADS({"vector", NULL, run_vector}, {"string", NULL, run_string},
          {"string-among", prepare_string_among, run_string},
          {"calloc", prepare_calloc, run_calloc}, {"aligned", prepare_aligned, run_aligned})
