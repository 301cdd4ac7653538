// build: args -fno-builtin
/* Makes the calls of the CRT's contract, good and bad arguments, and prints what can be observed:
 * one line a call. The lines must be the same with and without the takeover. Every call that takes
 * a block is made twice: with a block from before the program met the harness, and with one from
 * after. */

#include "support.h"
#include <errno.h>
#include <malloc.h>
#include <mbstring.h>
#include <new.h>
#include <stdlib.h>
#include <wchar.h>

#define UNTOUCHED 77

/* Constants, not macros: the transcript shows calls as they are written. */
static const size_t MAX_REQUEST = LARGEST_REQUEST;
static const size_t MOST = SIZE_MAX;
static const size_t NEVER = MORE_THAN_CAN_BE_HAD;
static const size_t ROOT = (size_t)1 << 4 * sizeof(size_t); /* its square wraps around to 0 */
static const size_t TOP_BIT = SIZE_MAX / 2 + 1;
static const size_t OVERHEAD = sizeof(void *) + 15; /* of a block that is aligned to 16 */

static int invalid_parameters, new_handler_calls;

INVALID_PARAMETER_HANDLER(count_invalid, invalid_parameters++)

static int count_new(size_t size) {
    new_handler_calls++;
    return 0;
}

/* A block from before or after the meeting. `alignment` 0 is a plain block. */
struct given {
    size_t size, alignment, offset;
    void *address;
};

enum { MOST_OLD = 400, CONTENTS = 5 };
static struct given old_blocks[MOST_OLD];
static int old_count, old_used;
static enum { COUNT_OLD, USE_OLD, USE_NEW } phase;

static struct given make(size_t size, size_t alignment, size_t offset) {
    void *block = alignment ? _aligned_offset_malloc(size, alignment, offset) : malloc(size);
    fill(block, size, CONTENTS);
    return (struct given){size, alignment, offset, block};
}

static struct given take(size_t size, size_t alignment, size_t offset) {
    if (phase == COUNT_OLD) {
        return old_blocks[old_count++] = make(size, alignment, offset);
    }
    return phase == USE_OLD ? old_blocks[old_used++] : make(size, alignment, offset);
}

static void give_back(const struct given *given, void *now) {
    if (given->alignment) {
        _aligned_free(now);
    } else {
        free(now);
    }
}

static void before_call(void) {
    invalid_parameters = new_handler_calls = 0;
    errno = UNTOUCHED;
}

/* What is the same for every call: `errno` if it changed, and handlers that were called. */
static const char *after_call(int error) {
    static char text[80];
    int used = error == UNTOUCHED ? 0 : snprintf(text, sizeof text, " errno %d", error);
    text[used] = 0;
    if (invalid_parameters) {
        used += snprintf(text + used, sizeof text - (size_t)used, " invalid-parameter %d",
                         invalid_parameters);
    }
    if (new_handler_calls) {
        snprintf(text + used, sizeof text - (size_t)used, " new-handler %d", new_handler_calls);
    }
    return text;
}

/* A call that makes a block. */
#define MAKES(call, release)                                                                       \
    do {                                                                                           \
        if (phase == USE_NEW) {                                                                    \
            before_call();                                                                         \
            void *block = (void *)(call);                                                          \
            const char *rest = after_call(errno);                                                  \
            say("%s: %s%s", #call, block ? "block" : "NULL", rest);                                \
            release(block);                                                                        \
        }                                                                                          \
    } while (0)

/* A call whose result is a number. */
#define ANSWERS(call)                                                                              \
    do {                                                                                           \
        if (phase == USE_NEW) {                                                                    \
            before_call();                                                                         \
            long long number = (long long)(ptrdiff_t)(call);                                       \
            const char *rest = after_call(errno);                                                  \
            say("%s: %lld%s", #call, number, rest);                                                \
        }                                                                                          \
    } while (0)

/* What a call did with the block `p` that it was given; `kept` bytes of its contents must be there
 * still. */
static void tell_fate(const char *call, const struct given *given, void *result, size_t kept,
                      bool freed, int error) {
    const char *rest = after_call(error);
    const char *which = phase == USE_OLD ? "old" : "new";
    if (!result && freed) {
        say("%s %s: NULL, freed%s", which, call, rest);
        return;
    }
    void *now = result ? result : given->address;
    size_t expected = result ? kept : given->size;
    bool good = intact(now, expected, CONTENTS) == expected;
    say("%s %s: %s, contents %s%s", which, call, result ? "block" : "NULL", good ? "kept" : "LOST",
        rest);
    give_back(given, now);
}

/* A call that is given the block `p`. `kept`: bytes to be found in the result. `freed`: NULL means
 * that p was freed. */
#define TAKES(size, alignment, offset, kept, freed, call)                                          \
    do {                                                                                           \
        struct given given = take(size, alignment, offset);                                        \
        if (phase != COUNT_OLD) {                                                                  \
            void *p = given.address;                                                               \
            before_call();                                                                         \
            void *result = (void *)(call);                                                         \
            int error = errno;                                                                     \
            tell_fate(#call, &given, result, kept, freed, error);                                  \
        }                                                                                          \
    } while (0)

#define PLAIN(kept, call) TAKES(100, 0, 0, kept, false, call)
#define PLAIN_FREED(call) TAKES(100, 0, 0, 0, true, call)
#define ALIGNED(kept, call) TAKES(100, 16, 0, kept, false, call)
#define ALIGNED_FREED(call) TAKES(100, 16, 0, 0, true, call)
#define OFFSET(kept, call) TAKES(100, 16, 4, kept, false, call)
#define OFFSET_FREED(call) TAKES(100, 16, 4, 0, true, call)

static void plain_functions(void) {
    MAKES(malloc(0), free);
    MAKES(malloc(1), free);
    MAKES(malloc(NEVER), free);
    MAKES(malloc(MOST >> 1), free);
    MAKES(malloc(MAX_REQUEST), free);
    MAKES(malloc(MAX_REQUEST + 1), free);
    MAKES(malloc(MOST), free);
    MAKES(calloc(0, 0), free);
    MAKES(calloc(0, MOST), free);
    MAKES(calloc(MOST, 0), free);
    MAKES(calloc(1, MAX_REQUEST), free);
    MAKES(calloc(1, MAX_REQUEST + 1), free);
    MAKES(calloc(2, MAX_REQUEST / 2), free);
    MAKES(calloc(2, MAX_REQUEST / 2 + 1), free);
    MAKES(calloc(MOST, 2), free);
    MAKES(calloc(ROOT, ROOT), free);
    MAKES(realloc(NULL, 0), free);
    MAKES(realloc(NULL, 10), free);
    MAKES(realloc(NULL, MAX_REQUEST), free);
    MAKES(realloc(NULL, MOST), free);
    PLAIN_FREED(realloc(p, 0));
    PLAIN(50, realloc(p, 50));
    PLAIN(100, realloc(p, 100));
    PLAIN(100, realloc(p, 5000));
    PLAIN(100, realloc(p, 500000));
    PLAIN(0, realloc(p, NEVER));
    PLAIN(0, realloc(p, MAX_REQUEST));
    PLAIN(0, realloc(p, MAX_REQUEST + 1));
    PLAIN(0, realloc(p, MOST));
    ANSWERS(_msize(NULL));
    MAKES((free(NULL), NULL), free);
}

static void recalloc_and_expand(void) {
    MAKES(_recalloc(NULL, 0, 0), free);
    MAKES(_recalloc(NULL, 0, 8), free);
    MAKES(_recalloc(NULL, MOST, 0), free);
    MAKES(_recalloc(NULL, 10, 8), free);
    MAKES(_recalloc(NULL, MOST, 2), free);
    MAKES(_recalloc(NULL, 1, MAX_REQUEST), free);
    MAKES(_recalloc(NULL, 1, MAX_REQUEST + 1), free);
    PLAIN_FREED(_recalloc(p, 0, 8));
    PLAIN_FREED(_recalloc(p, 8, 0));
    PLAIN_FREED(_recalloc(p, MOST, 0));
    PLAIN(100, _recalloc(p, 20, 8));
    PLAIN(8, _recalloc(p, 1, 8));
    PLAIN(0, _recalloc(p, NEVER, 1));
    PLAIN(0, _recalloc(p, MOST, 2));
    PLAIN(0, _recalloc(p, 1, MAX_REQUEST));
    PLAIN(0, _recalloc(p, 1, MAX_REQUEST + 1));
    ANSWERS(_expand(NULL, 0));
    ANSWERS(_expand(NULL, 8));
    ANSWERS(_expand(NULL, MOST));
    PLAIN(1, _expand(p, 0));
    PLAIN(1, _expand(p, 1));
    PLAIN(50, _expand(p, 50));
    PLAIN(100, _expand(p, 100));
    PLAIN(0, _expand(p, MAX_REQUEST));
    PLAIN(0, _expand(p, MAX_REQUEST + 1));
    PLAIN(0, _expand(p, MOST));
}

static void aligned_functions(void) {
    MAKES(_aligned_malloc(0, 16), _aligned_free);
    MAKES(_aligned_malloc(0, 0), _aligned_free);
    MAKES(_aligned_malloc(0, 3), _aligned_free);
    MAKES(_aligned_malloc(8, 0), _aligned_free);
    MAKES(_aligned_malloc(8, 3), _aligned_free);
    MAKES(_aligned_malloc(8, MOST), _aligned_free);
    MAKES(_aligned_malloc(8, 1), _aligned_free);
    MAKES(_aligned_malloc(8, 4096), _aligned_free);
    MAKES(_aligned_malloc(8, (size_t)1 << 20), _aligned_free);
    MAKES(_aligned_malloc(8, TOP_BIT), _aligned_free);
    MAKES(_aligned_malloc(NEVER, 16), _aligned_free);
    MAKES(_aligned_malloc(MOST, 3), _aligned_free);
    MAKES(_aligned_malloc(MOST, 16), _aligned_free);
    MAKES(_aligned_malloc(MOST, 1), _aligned_free);
    MAKES(_aligned_malloc(MAX_REQUEST - OVERHEAD, 16), _aligned_free);
    MAKES(_aligned_malloc(MAX_REQUEST - OVERHEAD + 1, 16), _aligned_free);
    MAKES(_aligned_realloc(NULL, 0, 16), _aligned_free);
    MAKES(_aligned_realloc(NULL, 0, 3), _aligned_free);
    MAKES(_aligned_realloc(NULL, 8, 16), _aligned_free);
    MAKES(_aligned_realloc(NULL, 8, 3), _aligned_free);
    MAKES(_aligned_realloc(NULL, MOST, 16), _aligned_free);
    ALIGNED_FREED(_aligned_realloc(p, 0, 16));
    ALIGNED_FREED(_aligned_realloc(p, 0, 3));
    ALIGNED_FREED(_aligned_realloc(p, 0, 0));
    ALIGNED(50, _aligned_realloc(p, 50, 16));
    ALIGNED(100, _aligned_realloc(p, 200, 16));
    ALIGNED(100, _aligned_realloc(p, 100000, 16));
    ALIGNED(100, _aligned_realloc(p, 200, 256));
    ALIGNED(0, _aligned_realloc(p, 50, 3));
    ALIGNED(0, _aligned_realloc(p, 50, 0));
    ALIGNED(0, _aligned_realloc(p, NEVER, 16));
    ALIGNED(0, _aligned_realloc(p, MOST, 16));
    ALIGNED(0, _aligned_realloc(p, MOST, 3));
    ALIGNED(0, _aligned_realloc(p, MAX_REQUEST - OVERHEAD, 16));
    ALIGNED(0, _aligned_realloc(p, MAX_REQUEST - OVERHEAD + 1, 16));
    ANSWERS(_aligned_msize(NULL, 16, 0));
    ANSWERS(_aligned_msize(NULL, 3, 0));
    MAKES((_aligned_free(NULL), NULL), free);
}

static void aligned_recalloc(void) {
    MAKES(_aligned_recalloc(NULL, 0, 8, 16), _aligned_free);
    MAKES(_aligned_recalloc(NULL, 0, 8, 3), _aligned_free);
    MAKES(_aligned_recalloc(NULL, 2, 8, 16), _aligned_free);
    MAKES(_aligned_recalloc(NULL, 2, 8, 3), _aligned_free);
    MAKES(_aligned_recalloc(NULL, MOST, 2, 16), _aligned_free);
    MAKES(_aligned_recalloc(NULL, MOST, 2, 3), _aligned_free);
    MAKES(_aligned_recalloc(NULL, MAX_REQUEST, 1, 16), _aligned_free);
    MAKES(_aligned_recalloc(NULL, MAX_REQUEST, 1, 3), _aligned_free);
    MAKES(_aligned_recalloc(NULL, MAX_REQUEST + 1, 1, 3), _aligned_free);
    ALIGNED_FREED(_aligned_recalloc(p, 0, 8, 16));
    ALIGNED_FREED(_aligned_recalloc(p, 8, 0, 16));
    ALIGNED_FREED(_aligned_recalloc(p, 0, 8, 3));
    ALIGNED_FREED(_aligned_recalloc(p, MOST, 0, 16));
    ALIGNED(100, _aligned_recalloc(p, 20, 8, 16));
    ALIGNED(40, _aligned_recalloc(p, 5, 8, 16));
    ALIGNED(0, _aligned_recalloc(p, 5, 8, 3));
    ALIGNED(0, _aligned_recalloc(p, MOST, 2, 16));
    ALIGNED(0, _aligned_recalloc(p, MOST, 2, 3));
    ALIGNED(0, _aligned_recalloc(p, MAX_REQUEST, 1, 16));
    ALIGNED(0, _aligned_recalloc(p, MAX_REQUEST, 1, 3));
}

static void offset_functions(void) {
    MAKES(_aligned_offset_malloc(0, 16, 0), _aligned_free);
    MAKES(_aligned_offset_malloc(0, 16, 1), _aligned_free);
    MAKES(_aligned_offset_malloc(8, 16, 7), _aligned_free);
    MAKES(_aligned_offset_malloc(8, 16, 8), _aligned_free);
    MAKES(_aligned_offset_malloc(8, 16, 9), _aligned_free);
    MAKES(_aligned_offset_malloc(8, 3, 0), _aligned_free);
    MAKES(_aligned_offset_malloc(8, 3, 9), _aligned_free);
    MAKES(_aligned_offset_malloc(MOST, 16, MOST), _aligned_free);
    MAKES(_aligned_offset_malloc(MOST, 16, MOST - 1), _aligned_free);
    MAKES(_aligned_offset_malloc(MOST, 3, 0), _aligned_free);
    MAKES(_aligned_offset_realloc(NULL, 0, 16, 0), _aligned_free);
    MAKES(_aligned_offset_realloc(NULL, 0, 16, 1), _aligned_free);
    MAKES(_aligned_offset_realloc(NULL, 8, 16, 8), _aligned_free);
    MAKES(_aligned_offset_realloc(NULL, 8, 3, 0), _aligned_free);
    OFFSET_FREED(_aligned_offset_realloc(p, 0, 16, 4));
    OFFSET_FREED(_aligned_offset_realloc(p, 0, 3, 5));
    OFFSET(50, _aligned_offset_realloc(p, 50, 16, 4));
    OFFSET(100, _aligned_offset_realloc(p, 5000, 16, 4));
    OFFSET(50, _aligned_offset_realloc(p, 50, 16, 49));
    OFFSET(0, _aligned_offset_realloc(p, 50, 16, 50));
    OFFSET(0, _aligned_offset_realloc(p, 50, 3, 4));
    OFFSET(0, _aligned_offset_realloc(p, 50, 3, 50));
    OFFSET(0, _aligned_offset_realloc(p, MOST, 16, 4));
    OFFSET(0, _aligned_offset_realloc(p, MOST, 3, 4));
    OFFSET(0, _aligned_offset_realloc(p, MOST, 16, MOST));
    MAKES(_aligned_offset_recalloc(NULL, 0, 8, 16, 0), _aligned_free);
    MAKES(_aligned_offset_recalloc(NULL, 0, 8, 16, 4), _aligned_free);
    MAKES(_aligned_offset_recalloc(NULL, 1, 8, 16, 8), _aligned_free);
    MAKES(_aligned_offset_recalloc(NULL, MOST, 2, 3, MOST), _aligned_free);
    OFFSET_FREED(_aligned_offset_recalloc(p, 0, 8, 16, 4));
    OFFSET_FREED(_aligned_offset_recalloc(p, 0, 8, 3, 4));
    OFFSET(100, _aligned_offset_recalloc(p, 20, 8, 16, 4));
    OFFSET(0, _aligned_offset_recalloc(p, 1, 8, 16, 8));
    OFFSET(0, _aligned_offset_recalloc(p, 1, 8, 3, 4));
    OFFSET(0, _aligned_offset_recalloc(p, MOST, 2, 16, 4));
    OFFSET(0, _aligned_offset_recalloc(p, MOST, 2, 3, 4));
}

static void strings(void) {
    MAKES(_strdup(NULL), free);
    MAKES(_wcsdup(NULL), free);
    MAKES(_mbsdup(NULL), free);
    MAKES(_strdup(""), free);
    MAKES(_wcsdup(L"wide"), free);
    MAKES(_mbsdup((const unsigned char *)"bytes"), free);
}

static void every_call(void) {
    plain_functions();
    recalloc_and_expand();
    aligned_functions();
    aligned_recalloc();
    offset_functions();
    strings();
}

int main(void) {
    _set_invalid_parameter_handler(count_invalid);
    every_call();
    meet_harness();
    phase = USE_OLD;
    every_call();
    phase = USE_NEW;
    every_call();
    say("with new mode 1 and a handler that gives up");
    _set_new_handler(count_new);
    _set_new_mode(1);
    every_call();
    return verdict();
}
