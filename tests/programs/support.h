/* What the test programs share: counting failures, meeting the harness, and asking the module.
 *
 * A program reports each failure as one line on standard output and ends with the exit code 0 only
 * if there was none. It meets the harness at `meet_harness`, where the harness may load the module.
 * Nothing here allocates from the C runtime's heap: a program decides itself what is in the heap
 * when the module arrives. */

#ifndef ALLOGRAFT_TEST_SUPPORT_H
#define ALLOGRAFT_TEST_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "module_name.h"

/* Callbacks are given more than they use. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static volatile LONG failures;

/* Writes one line to standard output, past the C runtime's streams: whole lines even from several
 * threads. */
static void say(const char *format, ...) {
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 2, format, arguments);
    va_end(arguments);
    length = length<0 ? 0 : length>(int) sizeof line - 2 ? (int)sizeof line - 2 : length;
    line[length++] = '\n';
    DWORD written = 0;
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), line, (DWORD)length, &written, NULL);
}

/* No more failures than these are described: one cause can fail thousands of checks. */
enum { MOST_DESCRIBED = 20 };

/* A condition that must hold, and what to say if it does not. */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition) && InterlockedIncrement(&failures) <= MOST_DESCRIBED) {                   \
            char what_[400];                                                                       \
            snprintf(what_, sizeof what_, __VA_ARGS__);                                            \
            say("FAILED line %d: %s (%s)", __LINE__, what_, #condition);                           \
        }                                                                                          \
    } while (0)

/* Prints whether all went well and returns the program's exit code. */
static inline int verdict(void) {
    say(failures ? "failed" : "passed");
    return failures ? 1 : 0;
}

/* The function that `module` exports as `name`; NULL if either does not exist. */
static inline void *exported(HMODULE module, const char *name) {
    return module ? (void *)GetProcAddress(module, name) : NULL;
}

/* A function of the Universal CRT. */
static inline void *crt_function(const char *name) {
    return exported(GetModuleHandleA("ucrtbase.dll"), name);
}

/* Defines a handler of invalid parameters that does `action`. */
#define INVALID_PARAMETER_HANDLER(handler, action)                                                 \
    static void handler(const wchar_t *expression, const wchar_t *function, const wchar_t *file,   \
                        unsigned line, uintptr_t reserved) {                                       \
        action;                                                                                    \
    }

static inline HANDLE start_thread(LPTHREAD_START_ROUTINE routine, void *parameter) {
    HANDLE thread = CreateThread(NULL, 0, routine, parameter, 0, NULL);
    CHECK(thread != NULL, "no thread could be started: error %lu", GetLastError());
    return thread;
}

/* Waits until the threads have ended and closes their handles. */
static inline bool await_threads(HANDLE *threads, size_t count) {
    DWORD waited = WaitForMultipleObjects((DWORD)count, threads, TRUE, 240000);
    CHECK(waited == WAIT_OBJECT_0, "%zu threads did not end", count);
    for (size_t i = 0; i < count; i++) {
        CloseHandle(threads[i]);
    }
    return waited == WAIT_OBJECT_0;
}

static inline void run_thread(LPTHREAD_START_ROUTINE routine, void *parameter) {
    HANDLE thread = start_thread(routine, parameter);
    await_threads(&thread, 1);
}

/* The module's functions, looked up once: asking the loader for a module that is absent is slow
 * under Wine. */
static struct {
    bool known;
    int (*active)(void);
    int (*owns)(const void *);
} module_face;

/* How a C runtime aligns every block, whatever its size. */
#define BLOCK_ALIGNMENT (2 * sizeof(void *))

/* The largest request that a C runtime passes on to its heap. */
#define LARGEST_REQUEST (SIZE_MAX - 0x1F)

/* Within that limit, and more than a process can have. */
#define MORE_THAN_CAN_BE_HAD (sizeof(size_t) == 8 ? SIZE_MAX / 0x20000 + 1 : SIZE_MAX / 2 + 1)

/* Looks for the module anew. */
static inline void look_for_module(void) {
    HMODULE module = GetModuleHandleA(MODULE_NAME);
    module = module ? module : GetModuleHandleA(CHECKING_MODULE_NAME);
    module_face.active = (int (*)(void))exported(module, "allograft_active");
    module_face.owns = (int (*)(const void *))exported(module, "allograft_owns");
    module_face.known = true;
}

/* Whether the takeover was complete when the module was last looked for. */
static inline bool taken_over(void) {
    if (!module_face.known) {
        look_for_module();
    }
    return module_face.active && module_face.active();
}

/* Whether the module says that mimalloc owns `block`. */
static inline bool owned(const void *block) {
    return taken_over() && module_face.owns && module_face.owns(block);
}

/* Says `ready PID` and waits for a line on standard input. Between the two the harness may inject
 * the module. */
static inline void meet_harness(void) {
    say("ready %lu", GetCurrentProcessId());
    HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
    char byte = 0;
    DWORD got = 0;
    while (byte != '\n' && ReadFile(input, &byte, 1, &got, NULL) && got == 1) {
    }
    look_for_module();
}

/* Whether `block` is in the heap that serves allocations now: mimalloc's after the takeover, any
 * before it. */
static inline bool in_current_heap(const void *block) { return !taken_over() || owned(block); }

/* Whether the harness says that the CRT is Wine's own, which differs from Microsoft's here and
 * there. */
static inline bool on_wine_crt(void) {
    return GetEnvironmentVariableA("ALLOGRAFT_TEST_WINE_CRT", NULL, 0) > 0;
}

/* The pattern that belongs to the byte at `index` of the block with the number `tag`. */
static inline unsigned char pattern(uint64_t tag, size_t index) {
    uint64_t mixed = (tag + 1) * 0x9E3779B97F4A7C15ull + (uint64_t)index * 0x2545F4914F6CDD1Dull;
    return (unsigned char)(mixed >> 56);
}

static inline void fill(void *block, size_t size, uint64_t tag) {
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)block)[i] = pattern(tag, i);
    }
}

/* Index of the first byte that is not the pattern's, `size` if all are. */
static inline size_t intact(const void *block, size_t size, uint64_t tag) {
    size_t i = 0;
    while (i < size && ((const unsigned char *)block)[i] == pattern(tag, i)) {
        i++;
    }
    return i;
}

/* `alignment` is a power of two. */
static inline bool aligned_to(const void *block, size_t alignment) {
    return ((uintptr_t)block & (alignment - 1)) == 0;
}

/* xorshift64*: small, seeded, the same on every host. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1Dull;
}

#endif
