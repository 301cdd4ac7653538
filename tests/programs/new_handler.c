// build: args -fno-builtin
/* With the new mode 1 a failing allocation calls the new handler, and tries again as long as it
 * returns non-zero. The lines that it prints are the same with and without the takeover. */

#include "support.h"
#include <errno.h>
#include <malloc.h>
#include <new.h>
#include <stdlib.h>

__declspec(dllimport) int _callnewh(size_t);

static const size_t NEVER = MORE_THAN_CAN_BE_HAD;
static const size_t BEYOND = SIZE_MAX - 16; /* above the limit of a request: no handler is asked */

static int calls, retries;
static size_t last_size;

static int handler(size_t size) {
    calls++;
    last_size = size;
    return retries-- > 0;
}

/* A size that the handler was told, in words that are the same for every size of a word. */
static const char *told(size_t size) {
    static char text[40];
    if (size < NEVER) {
        snprintf(text, sizeof text, "%zx", size);
    } else if (size == NEVER) {
        strcpy(text, "NEVER");
    } else {
        snprintf(text, sizeof text, "NEVER, a word and %zu", size - NEVER - sizeof(void *));
    }
    return text;
}

#define FAILS(call)                                                                                \
    do {                                                                                           \
        calls = 0, retries = 2, last_size = 0, errno = 77;                                         \
        void *result = (call);                                                                     \
        int error = errno;                                                                         \
        say("%s: %s errno %d, handler called %d times, last for %s", #call,                        \
            result ? "block" : "NULL", error, calls, told(last_size));                             \
    } while (0)

static void every_failing_call(void *p, void *aligned) {
    FAILS(malloc(NEVER));
    FAILS(calloc(1, NEVER));
    FAILS(calloc(NEVER / 8, 8));
    FAILS(realloc(NULL, NEVER));
    FAILS(realloc(p, NEVER));
    FAILS(_recalloc(NULL, NEVER, 1));
    FAILS(_recalloc(p, NEVER, 1));
    FAILS(_expand(p, NEVER));
    FAILS(_aligned_malloc(NEVER, 16));
    FAILS(_aligned_realloc(aligned, NEVER, 16));
    FAILS(_aligned_recalloc(aligned, NEVER, 1, 16));
    FAILS(_aligned_offset_malloc(NEVER, 64, 8));
    FAILS(malloc(BEYOND));
    FAILS(calloc(1, BEYOND));
    FAILS(realloc(p, BEYOND));
    FAILS(_aligned_malloc(BEYOND, 16));
    FAILS(calloc(SIZE_MAX, 2));
}

int main(void) {
    void *old = malloc(100), *old_aligned = _aligned_malloc(100, 16);
    meet_harness();
    void *new = malloc(100), *new_aligned = _aligned_malloc(100, 16);
    fill(old, 100, 1);
    fill(new, 100, 2);
    for (int mode = 0; mode < 2; mode++) {
        _set_new_mode(mode);
        say("new mode %d, no handler", _query_new_mode());
        _set_new_handler(NULL);
        every_failing_call(new, new_aligned);
        say("new mode %d, a handler that asks twice for another try", mode);
        _set_new_handler(handler);
        CHECK(_query_new_handler() == handler, "the handler that was set is not the one in force");
        every_failing_call(old, old_aligned);
        every_failing_call(new, new_aligned);
    }
    CHECK(intact(old, 100, 1) == 100 && intact(new, 100, 2) == 100,
          "a failed reallocation damaged its block");
    calls = 0, retries = 1;
    CHECK(_callnewh(5) == 1 && calls == 1, "_callnewh did not call the handler");
    void *block = malloc(10);
    CHECK(block && calls == 1, "a successful allocation called the handler");
    free(block);
    return verdict();
}
