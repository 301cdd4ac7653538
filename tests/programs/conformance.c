// build: args -fno-builtin
/* Performs a seeded random sequence of calls over all functions of the heap, with the whole range
 * of arguments that matters, and writes a transcript of what the contract fixes: one line a call.
 * The transcripts of two runs are equal if the contract holds.
 *
 * Arguments: SEED OPERATIONS STOP NAMES [KEEP]
 *
 * STOP: the operation before which the program waits for the harness; it never does if STOP is
 * OPERATIONS or more.
 *
 * NAMES: `all`; or `portable` for the public and `_base` names, no environment and no new mode,
 * which is what Wine's CRT can do under the takeover; or `tame` for the same, and up to STOP only
 * what Wine's CRT can do without it.
 *
 * The variable ALLOGRAFT_TEST_RUNTIME names another runtime than the Universal CRT.
 *
 * KEEP: a file of lines `FIRST LAST`. Only operations in these ranges are performed. */

#include "conformance_common.h"
#include <errno.h>
#include <malloc.h>
#include <new.h>
#include <wchar.h>

/* Whether blocks must have the size that was asked for, and no larger one: what the harness asks
 * the module for by this variable. */
static bool sizes_are_exact;

#include "conformance_draw.h"
#include "conformance_calls.h"
#include "conformance_perform.h"

static void (*const performers[FUNCTIONS])(const struct operation *,
                                           struct slot *) = {EACH_FUNCTION(PERFORM)};

static bool asks_for_size(const struct operation *operation) {
    return operation->function == MSIZE || operation->function == ALIGNED_MSIZE ||
           operation->function == EXPAND;
}

static void release_all(void) {
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].address) {
            release(&slots[i]);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 5) {
        say("usage: conformance SEED OPERATIONS STOP NAMES [KEEP]");
        return 2;
    }
    uint64_t seed = strtoull(arguments[1], NULL, 10);
    long operations = atol(arguments[2]), stop = atol(arguments[3]);
    bool tame = strcmp(arguments[4], "tame") == 0;
    bool portable = tame || strcmp(arguments[4], "portable") == 0;
    if (count > 5 && !read_kept(arguments[5])) {
        say("%s cannot be read", arguments[5]);
        return 2;
    }
    sizes_are_exact = GetEnvironmentVariableA("ALLOGRAFT_EXACT_SIZES", NULL, 0) > 0;
    prepare(portable);
    if (!runtime) {
        say("the runtime cannot be loaded: error %lu", GetLastError());
        return 2;
    }
    for (long i = 0; i < operations; i++) {
        if (i == stop) {
            flush_transcript();
            meet_harness();
        }
        if (is_kept(i)) {
            struct operation operation = draw(seed, i, portable);
            if (tame && i < stop) {
                operation = tamed(operation);
            }
            /* A function that this runtime lacks is left out. */
            if (function_of(&operation) && !(tame && i < stop && asks_for_size(&operation))) {
                before_call();
                performers[operation.function](&operation, &slots[operation.slot]);
            }
        }
    }
    release_all();
    HANDLE (*heap)(void) = runtime_function("_get_heap_handle");
    record("heap %s", HeapValidate(heap(), 0, NULL) ? "sound" : "DAMAGED");
    flush_transcript();
    return failures ? 1 : 0;
}
