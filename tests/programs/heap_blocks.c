// build: args -fno-builtin
/* A block from HeapAlloc on the CRT's heap, given to the CRT's functions: it works on the real CRT,
 * and programs rely on it. */

#include "support.h"
#include <malloc.h>
#include <stdlib.h>

enum { COUNT = 100 };

static void use_up(HANDLE heap, char *blocks[COUNT]) {
    for (int i = 0; i < COUNT; i++) {
        size_t size = 10 + (size_t)i * 37;
        CHECK(_msize(blocks[i]) == size, "block %d has size %zu instead of %zu", i,
              _msize(blocks[i]), size);
        if (i % 2) {
            blocks[i] = realloc(blocks[i], size * 2);
            CHECK(in_current_heap(blocks[i]), "reallocated block %d is not mimalloc's", i);
        }
        CHECK(intact(blocks[i], size, (uint64_t)i) == size, "block %d changed", i);
        free(blocks[i]);
    }
    CHECK(HeapValidate(heap, 0, NULL), "the heap is damaged");
}

static void allocate(HANDLE heap, char *blocks[COUNT]) {
    for (int i = 0; i < COUNT; i++) {
        size_t size = 10 + (size_t)i * 37;
        blocks[i] = HeapAlloc(heap, 0, size);
        fill(blocks[i], size, (uint64_t)i);
    }
}

int main(void) {
    static char *before[COUNT], *after[COUNT];
    /* Microsoft's CRT uses the process heap; Wine's has a heap of its own. */
    HANDLE heap = (HANDLE)_get_heap_handle();
    allocate(heap, before);
    meet_harness();
    allocate(heap, after);
    use_up(heap, before);
    use_up(heap, after);
    return verdict();
}
