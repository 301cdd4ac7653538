// Loads the module BENCH_MODULE into a process with `THREADS` threads and `BLOCKS` blocks. Prints
// how long that takes and how much memory it costs, and how long it takes only to suspend and
// resume the threads.

#include "driver.h"

enum { MOST_THREADS = 63 };

static DWORD WINAPI wait_for_event(void *event) {
    WaitForSingleObject(event, INFINITE);
    return 0;
}

static size_t resident_bytes(void) {
    PROCESS_MEMORY_COUNTERS counters = {};
    counters.cb = sizeof counters;
    K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return counters.WorkingSetSize;
}

/* Nanoseconds to suspend all threads, to read their registers, which waits for each, and to resume
 * them: the system's share of every takeover. */
static double suspend_and_resume(HANDLE *threads, int count) {
    double began = nanoseconds();
    for (int i = 0; i < count; i++) {
        CHECK(SuspendThread(threads[i]) == 0, "a thread cannot be suspended: system error %lu",
              GetLastError());
    }
    for (int i = 0; i < count; i++) {
        CONTEXT registers = {};
        registers.ContextFlags = CONTEXT_CONTROL;
        CHECK(GetThreadContext(threads[i], &registers),
              "a thread is not suspended: system error %lu", GetLastError());
    }
    for (int i = 0; i < count; i++) {
        ResumeThread(threads[i]);
    }
    return nanoseconds() - began;
}

int main(int count, char **arguments) {
    int threads = count == 3 ? atoi(arguments[1]) - 1 : -1,
        blocks = count == 3 ? atoi(arguments[2]) : -1;
    if (threads < 0 || threads > MOST_THREADS || blocks < 0) {
        say("usage: %s THREADS BLOCKS", arguments[0]);
        return 2;
    }
    HANDLE end = CreateEventA(NULL, TRUE, FALSE, NULL), handles[MOST_THREADS];
    for (int i = 0; i < threads; i++) {
        handles[i] = CreateThread(NULL, 0, wait_for_event, end, 0, NULL);
    }
    size_t unused = 0;
    for (int i = 0; i < blocks; i++) {
        unused += malloc(16 + (size_t)i % 256) == NULL;
    }
    size_t committed = committed_bytes(), resident = resident_bytes();
    double began = nanoseconds();
    load_module();
    double took = nanoseconds() - began;
    committed = committed_bytes() - committed;
    resident = resident_bytes() - resident;
    look_for_module();
    CHECK(unused == 0, "there is no memory for %d blocks", blocks);
    CHECK(taken_over(), "the module has taken nothing over");
    say("{\"microseconds\": %.1f, \"stopping\": %.1f, \"committed\": %zu, \"resident\": %zu}",
        took / 1000, suspend_and_resume(handles, threads) / 1000, committed, resident);
    SetEvent(end);
    for (int i = 0; i < threads; i++) {
        WaitForSingleObject(handles[i], INFINITE);
    }
    return failures ? 1 : 0;
}
