/* What the programs of the bench share: they are called `PROGRAM WORKLOAD OPERATIONS REPETITIONS`,
 * prepare, measure the workload that often, once more without the clock to see its memory, and say
 * what they found as one line of JSON.
 *
 * The variable BENCH_MODULE names a DLL that the program is to load: first of all, or in the middle
 * of its preparation if BENCH_LATE is set, so that half of what it has then came from the old heap.
 */

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

/* Something to measure. */
typedef struct workload_s {
    const char *name;
    /* Makes what `run` begins with, and calls `let_module_in` where half of that is there; may be
     * NULL. */
    void (*prepare)(void);
    /* Does so many operations and gives a number that depends on what they did, and on no address.
     */
    uint64_t (*run)(uint64_t operations);
} workload_t;

enum { MOST_REPETITIONS = 32 };

/* Nanoseconds on a clock that only goes forward. */
static double nanoseconds(void) {
    static LARGE_INTEGER frequency;
    if (frequency.QuadPart == 0) {
        QueryPerformanceFrequency(&frequency);
    }
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    return (double)now.QuadPart * 1e9 / (double)frequency.QuadPart;
}

/* A random number; the next of a sequence that costs less than what is measured. */
static inline uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Leaves a block of every size up to `largest` in the heap, as most programs have them. */
static inline void hold_every_size(size_t largest, uint64_t *state) {
    for (size_t size = 16; size <= largest; size += 16) {
        *state ^= (uint64_t)(malloc(size) == NULL);
    }
}

/* Bytes that the process has committed for itself, images left aside. Added up, as Wine does not
 * keep the figure. */
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
    bool looking;
    size_t peak;
} memory;

/* To be called by a workload where it holds the most; costs nothing while the clock runs. */
static inline void at_peak(void) {
    if (memory.looking) {
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

/* The moment for a module that comes late. */
static void let_module_in(void) {
    if (GetEnvironmentVariableA("BENCH_LATE", NULL, 0) > 0) {
        load_module();
    }
}

/* Bytes of the old heap's blocks that were freed or moved since the module came; 0 without
 * allograft's module. */
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

/* What one run found. */
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

/* Runs the workload once more, with an eye on its memory. */
static inline void look_at_memory(const workload_t *workload, uint64_t operations) {
    memory.looking = true;
    workload->run(operations);
    at_peak();
}

/* The program's `main`. */
static inline int drive(const workload_t *workloads, size_t count, int argument_count,
                        char **arguments) {
#if defined(BENCH_LINKED)
    CHECK(mi_version() > 0, "mimalloc.dll has no version");
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
    // A workload whose memory is another process's has seen it already.
    if (memory.peak == 0) {
        look_at_memory(workload, operations);
    }
    say_results(&found, repetitions);
    return failures ? 1 : 0;
}

#define WORKLOADS(...)                                                                             \
    int main(int count, char **arguments) {                                                        \
        static const workload_t workloads[] = {__VA_ARGS__};                                       \
        return drive(workloads, sizeof workloads / sizeof workloads[0], count, arguments);         \
    }

#endif
