/* The `main` of the programs of the bench: `PROGRAM WORKLOAD OPERATIONS REPETITIONS`. It prepares
 * the workload, measures the repetitions, runs it once more without the clock to sample its memory,
 * and prints the results as JSON.
 *
 * The variable BENCH_MODULE names a DLL to load: at the start, or, if BENCH_LATE is set, in the
 * middle of the preparation, so that half of the blocks are the old heap's. */

#ifndef ALLOGRAFT_BENCH_DRIVER_H
#define ALLOGRAFT_BENCH_DRIVER_H

#include "../../tests/programs/support.h"
#include <psapi.h>

#if defined(BENCH_LINKED)
#include <mimalloc.h>
#endif

#include "heap.h"

#define ALLOGRAFT_API
#include <allograft.h>

typedef struct workload_s {
    const char *name;
    /* Allocates what `run` starts with, and calls `let_module_in` after half of it. May be NULL. */
    void (*prepare)(void);
    /* Returns a checksum that depends on what the operations did, and on no address. */
    uint64_t (*run)(uint64_t operations);
} workload_t;

enum { MOST_REPETITIONS = 32 };

/* Of a monotonic clock. */
static double nanoseconds(void) {
    static LARGE_INTEGER frequency;
    if (frequency.QuadPart == 0) {
        QueryPerformanceFrequency(&frequency);
    }
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    return (double)now.QuadPart * 1e9 / (double)frequency.QuadPart;
}

/* The next number of a xorshift generator, which is cheap compared to what is measured. */
static inline uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Leaves a block of every size up to `largest` in the heap, as most programs do. */
static inline void hold_every_size(size_t largest, uint64_t *state) {
    for (size_t size = 16; size <= largest; size += 16) {
        *state ^= (uint64_t)(malloc(size) == NULL);
    }
}

/* Private committed memory. Summed up by region, because Wine has no counter for it. */
static size_t committed_bytes(void) {
    size_t total = 0;
    MEMORY_BASIC_INFORMATION region;
    for (char *at = NULL; VirtualQuery(at, &region, sizeof region) == sizeof region;
         at = (char *)region.BaseAddress + region.RegionSize) {
        if (region.State == MEM_COMMIT && region.Type == MEM_PRIVATE) {
            total += region.RegionSize;
        }
    }
    return total;
}

static struct {
    bool sampling;
    size_t peak;
} memory;

/* Workloads call it where they hold the most memory. Costs nothing while the clock runs. */
static inline void at_peak(void) {
    if (memory.sampling) {
        size_t committed = committed_bytes();
        memory.peak = committed > memory.peak ? committed : memory.peak;
    }
}

static bool module_is_in;

static void load_module(void) {
    char path[1024];
    DWORD length = GetEnvironmentVariableA("BENCH_MODULE", path, sizeof path);
    if (length > 0 && length < sizeof path && !module_is_in) {
        CHECK(LoadLibraryA(path), "%s cannot be loaded: system error %lu", path, GetLastError());
        module_is_in = true;
    }
}

static void let_module_in(void) {
    if (GetEnvironmentVariableA("BENCH_LATE", NULL, 0) > 0) {
        load_module();
    }
}

/* Bytes of the old heap's blocks that were freed or moved; 0 without allograft's module. */
static inline uint64_t old_bytes_gone(void) {
    static int (*ask)(allograft_counters_t *);
    HMODULE module = ask ? NULL : GetModuleHandleA("allograft.dll");
    if (module) {
        ask = (int (*)(allograft_counters_t *))(void *)GetProcAddress(module, "allograft_counters");
    }
    allograft_counters_t counters = {};
    counters.size = sizeof counters;
    return ask && ask(&counters) ? counters.freed_bytes + counters.migrated_bytes : 0;
}

typedef struct found_s {
    double nanoseconds[MOST_REPETITIONS]; /* for each operation */
    double old_bytes_gone[MOST_REPETITIONS]; /* after each repetition */
    uint64_t checksum; /* of the first repetition */
} found_t;

static inline const workload_t *find_workload(const workload_t *workloads, size_t count,
                                              const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    return NULL;
}

static inline void say_list(const char *name, const double *numbers, int count) {
    say("  \"%s\": [", name);
    for (int i = 0; i < count; i++) {
        say("    %.4f%s", numbers[i], i + 1 < count ? "," : "");
    }
    say("  ],");
}

static inline void say_results(const found_t *found, int count) {
    say("{");
    say_list("nanoseconds", found->nanoseconds, count);
    say_list("old_bytes_gone", found->old_bytes_gone, count);
    say("  \"peak_memory\": %zu,", memory.peak);
    say("  \"checksum\": \"%016llx\"", (unsigned long long)found->checksum);
    say("}");
}

static inline void sample_memory(const workload_t *workload, uint64_t operations) {
    memory.sampling = true;
    workload->run(operations);
    at_peak();
}

static inline int drive(const workload_t *workloads, size_t count, int argument_count,
                        char **arguments) {
#if defined(BENCH_LINKED)
    CHECK(mi_version() > 0, "mimalloc.dll has no version");
#elif defined(BENCH_RUNTIME_LINKED_IN)
    start_linked_runtime();
#endif
    if (GetEnvironmentVariableA("BENCH_LATE", NULL, 0) == 0) {
        load_module();
    }
    const workload_t *workload =
        argument_count == 4 ? find_workload(workloads, count, arguments[1]) : NULL;
    uint64_t operations = workload ? strtoull(arguments[2], NULL, 10) : 0;
    int repetitions = workload ? atoi(arguments[3]) : 0;
    if (operations == 0 || repetitions < 1 || repetitions > MOST_REPETITIONS) {
        say("usage: %s WORKLOAD OPERATIONS REPETITIONS", arguments[0]);
        return 2;
    }
    if (workload->prepare) {
        workload->prepare();
    }
    let_module_in();
    static found_t found;
    for (int i = 0; i < repetitions; i++) {
        double began = nanoseconds();
        uint64_t result = workload->run(operations);
        found.nanoseconds[i] = (nanoseconds() - began) / (double)operations;
        found.old_bytes_gone[i] = (double)old_bytes_gone();
        found.checksum = i == 0 ? result : found.checksum;
    }
    // Workloads that run in another process have sampled its memory already.
    if (memory.peak == 0) {
        sample_memory(workload, operations);
    }
    say_results(&found, repetitions);
    return failures ? 1 : 0;
}

/* Defines `prepare_NAME`, which calls `NAME_once` `half` times before and after the moment for the
 * module, and `run_NAME`, in which it is one operation. A macro, so that it is inlined. */
#define REPEATED(NAME, half)                                                                       \
    static void prepare_##NAME(void) {                                                             \
        for (int i = 0; i < (half); i++) {                                                         \
            NAME##_once();                                                                         \
        }                                                                                          \
        let_module_in();                                                                           \
        for (int i = 0; i < (half); i++) {                                                         \
            NAME##_once();                                                                         \
        }                                                                                          \
    }                                                                                              \
    static uint64_t run_##NAME(uint64_t operations) {                                              \
        uint64_t sum = 0;                                                                          \
        for (uint64_t i = 0; i < operations; i++) {                                                \
            sum += NAME##_once();                                                                  \
        }                                                                                          \
        return sum;                                                                                \
    }

#define WORKLOADS(...)                                                                             \
    int main(int count, char **arguments) {                                                        \
        static const workload_t workloads[] = {__VA_ARGS__};                                       \
        return drive(workloads, sizeof workloads / sizeof workloads[0], count, arguments);         \
    }

#endif
