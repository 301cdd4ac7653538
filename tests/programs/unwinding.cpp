// build: args -fno-builtin
/* Frames below a replaced function can be unwound: an exception that the new handler throws from
 * inside `malloc` is caught by the caller of `malloc`, with every destructor between them run, and
 * a stack walk from there shows the caller. */

extern "C" {
#include "support.h"
}
#include <stdlib.h>

/* By their C names: the header declares them as C++ functions, which the C runtime does not export.
 */
extern "C" __declspec(dllimport) int _set_new_mode(int);
extern "C" __declspec(dllimport) int (*_set_new_handler(int (*)(size_t)))(size_t);

static int destroyed;
static bool caller_seen, reached_the_end;
#if defined(_WIN64)
static void *caller_begin;
#endif

struct Guard {
    ~Guard() { destroyed++; }
};

struct OutOfMemory {
    int code;
};

#if defined(_WIN64)
/* The function in which `address` lies, by the tables that unwinding uses; NULL if they do not know
 * it. */
static void *function_of(void *address) {
    DWORD64 base = 0;
    RUNTIME_FUNCTION *entry = RtlLookupFunctionEntry((DWORD64)address, &base, NULL);
    return entry ? (void *)(base + entry->BeginAddress) : NULL;
}
#endif

static void walk_the_stack() {
#if defined(_WIN64)
    void *frames[60];
    USHORT count = RtlCaptureStackBackTrace(0, 60, frames, NULL);
    for (USHORT i = 0; i < count; i++) {
        caller_seen |= function_of(frames[i]) == caller_begin;
    }
    reached_the_end = count > 3 && count < 60;
#else
    /* There are no such tables, and the system walks along frame pointers, which optimised code
     * does not keep. */
    caller_seen = reached_the_end = true;
#endif
}

static int throwing_handler(size_t) {
    Guard guard;
    walk_the_stack();
    throw OutOfMemory{42};
}

__attribute__((noinline)) static void *allocate_too_much(volatile size_t size, int kind) {
    Guard guard;
#if defined(_WIN64)
    caller_begin = function_of(__builtin_return_address(0))
                       ? function_of((void *)(uintptr_t)allocate_too_much)
                       : NULL;
#endif
    void *block = kind == 0   ? malloc(size)
                  : kind == 1 ? calloc(size, 1)
                              : realloc(malloc(10), size);
    return destroyed > 1000 ? NULL : block;
}

static void check(int kind, const char *name) {
    destroyed = 0;
    caller_seen = reached_the_end = false;
    int caught = 0;
    try {
        CHECK(allocate_too_much(MORE_THAN_CAN_BE_HAD, kind) == NULL, "%s gave memory", name);
    } catch (const OutOfMemory &exception) {
        caught = exception.code;
    }
    CHECK(caught == 42, "the exception did not come through %s", name);
    CHECK(destroyed == 2, "%d destructors were run below %s", destroyed, name);
    CHECK(caller_seen && reached_the_end, "the stack walk through %s does not show its caller",
          name);
}

int main() {
    meet_harness();
    _set_new_mode(1);
    _set_new_handler(throwing_handler);
    check(0, "malloc");
    check(1, "calloc");
    check(2, "realloc");
    return verdict();
}
