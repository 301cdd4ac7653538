// build: args -fno-builtin -lntdll -lole32
/* The differential test of the heap API: a seeded random sequence of calls of HeapAlloc, HeapFree
 * and their kin, by each way to call them, on blocks from all who allocate on the process's heap.
 * Writes a transcript of what is documented or what programs rely on: one line a call.
 *
 * Arguments: SEED OPERATIONS STOP all [KEEP], as for conformance.c. */

#include "conformance_common.h"
#include <objbase.h>
#include <setjmp.h>

#include "conformance_heap_draw.h"
#include "conformance_heap_calls.h"
#include "conformance_heap_perform.h"

static void (*const performers[FUNCTIONS])(const struct operation *,
                                           struct slot *) = {EACH_FUNCTION(PERFORM)};

int main(int count, char **arguments) {
    if (count < 5 || strcmp(arguments[4], "all") != 0) {
        say("usage: conformance_heap SEED OPERATIONS STOP all [KEEP]");
        return 2;
    }
    uint64_t seed = strtoull(arguments[1], NULL, 10);
    long operations = atol(arguments[2]), stop = atol(arguments[3]);
    if (count > 5 && !read_kept(arguments[5])) {
        say("%s cannot be read", arguments[5]);
        return 2;
    }
    prepare();
    for (long i = 0; i < operations; i++) {
        if (i == stop) {
            flush_transcript();
            meet_harness();
            look_up_functions();
        }
        if (is_kept(i)) {
            struct operation operation = draw(seed, i);
            performers[operation.function](&operation, &slots[operation.slot]);
        }
    }
    for (int i = 0; i < SLOTS; i++) {
        empty(&slots[i]);
    }
    bool sound = true;
    for (int i = 0; i < HEAPS; i++) {
        sound = sound && HeapValidate(heaps[i], 0, NULL);
    }
    for (int i = PRIVATE; i < HEAPS; i++) {
        sound = sound && HeapDestroy(heaps[i]);
    }
    record("heap %s", sound ? "sound" : "DAMAGED");
    flush_transcript();
    return failures ? 1 : 0;
}
