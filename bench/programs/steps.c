// Counts the instructions of one call of each heap function with the processor's single-step trap:
// the same number on a busy machine and on an idle one.

#include "driver.h"

enum { TRAP_FLAG = 0x100, CALLS = 9 };

static volatile bool counting;
static volatile uint64_t steps;

/* Runs after each instruction. The processor clears the trap flag each time. */
static LONG CALLBACK count_step(EXCEPTION_POINTERS *exception) {
    if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_SINGLE_STEP) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    if (counting) {
        steps++;
        exception->ContextRecord->EFlags |= TRAP_FLAG;
    }
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* Instructions of a call of `action`, plus a constant number around it. */
static uint64_t raw_steps_of(void (*action)(void)) {
    steps = 0;
    counting = true;
    __writeeflags(__readeflags() | TRAP_FLAG);
    action();
    counting = false;
    return steps;
}

static void do_nothing(void) {}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Instructions of one call of `action`, the median of several. `before` and `after` surround each
 * and are not counted. */
static uint64_t steps_of(void (*before)(void), void (*action)(void), void (*after)(void)) {
    uint64_t counted[CALLS];
    for (int i = 0; i < CALLS; i++) {
        before();
        uint64_t around = raw_steps_of(do_nothing);
        counted[i] = raw_steps_of(action) - around;
        after();
    }
    qsort(counted, CALLS, sizeof counted[0], ascending);
    return counted[CALLS / 2];
}

/* Arguments and results of the actions. */
static size_t size;
static size_t alignment = 64;
static void *volatile block;
static volatile size_t answer;

static void do_malloc(void) { block = malloc(size); }
static void do_calloc(void) { block = calloc(1, size); }
static void do_aligned_malloc(void) { block = _aligned_malloc(size, alignment); }
static void do_free(void) { free(block); }
static void do_aligned_free(void) { _aligned_free(block); }
static void do_realloc(void) { block = realloc(block, size); }
static void do_msize(void) { answer = _msize(block); }

/* Allocated before the module is loaded. */
enum { OLD_BLOCKS = 64, OLD_SIZE = 100 };
static void *old_blocks[OLD_BLOCKS];
static int old_left;

static void take_old(void) { block = old_blocks[--old_left]; }

typedef struct entry_s {
    const char *name;
    size_t size;
    void (*before)(void);
    void (*action)(void);
    void (*after)(void);
} entry_t;

static const entry_t entries[] = {
    {"malloc, 64 bytes", 64, do_nothing, do_malloc, do_free},
    {"malloc, 8 bytes", 8, do_nothing, do_malloc, do_free},
    {"malloc, 4000 bytes", 4000, do_nothing, do_malloc, do_free},
    {"malloc, 100000 bytes", 100000, do_nothing, do_malloc, do_free},
    {"calloc, 64 bytes", 64, do_nothing, do_calloc, do_free},
    {"free, 64 bytes", 64, do_malloc, do_free, do_nothing},
    {"free, 4000 bytes", 4000, do_malloc, do_free, do_nothing},
    {"realloc, 64 bytes in place", 64, do_malloc, do_realloc, do_free},
    {"_msize, 64 bytes", 64, do_malloc, do_msize, do_free},
    {"_aligned_malloc, 64 bytes to 64", 64, do_nothing, do_aligned_malloc, do_aligned_free},
    {"_aligned_free, 64 bytes to 64", 64, do_aligned_malloc, do_aligned_free, do_nothing},
    {"free, a block of the old heap", OLD_SIZE, take_old, do_free, do_nothing},
};

enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* Holds a block of every size, so that no heap page becomes empty or is created while counting. */
static void warm_up(void) {
    for (int i = 0; i < ENTRIES; i++) {
        for (int j = 0; j < 4; j++) {
            answer += (size_t)malloc(entries[i].size) +
                      (size_t)_aligned_malloc(entries[i].size, alignment);
        }
    }
}

static bool is_counted(const entry_t *entry) { return entry->before != take_old || module_is_in; }

int main(void) {
    for (old_left = 0; old_left < OLD_BLOCKS; old_left++) {
        old_blocks[old_left] = malloc(OLD_SIZE);
    }
    load_module();
    AddVectoredExceptionHandler(1, count_step);
    warm_up();
    say("{\"entries\": [");
    for (int i = 0; i < ENTRIES; i++) {
        if (is_counted(&entries[i])) {
            size = entries[i].size;
            uint64_t counted = steps_of(entries[i].before, entries[i].action, entries[i].after);
            say(" %s{\"entry\": \"%s\", \"instructions\": %llu}", i ? "," : "", entries[i].name,
                (unsigned long long)counted);
        }
    }
    say("]}");
    return failures ? 1 : 0;
}
