// build: args -fno-builtin
/* Starts and ends threads that allocate, hand blocks over and end while others free those: what
 * mimalloc holds at rest at the end is within 10% of what it held after the first thousand, but for
 * a page of this size or that, which it keeps for the main thread: some are more one time, and
 * fewer another. Argument: how many threads. */

#include "traffic.h"
#include "allograft.h"

enum { AT_ONCE = 8, OPERATIONS = 100, SETTLED = 1000, PURGE_DELAY = 1500, KEPT_PAGES = 2 << 20 };

static DWORD WINAPI work(void *parameter) {
    operate_for_a_while(1, (uintptr_t)parameter, OPERATIONS);
    return 0;
}

static void run_threads(uintptr_t from, uintptr_t to) {
    HANDLE threads[AT_ONCE];
    for (uintptr_t number = from; number < to; number += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++) {
            threads[i] = start_thread(work, (void *)(number + (uintptr_t)i));
        }
        await_threads(threads, AT_ONCE);
    }
}

/* Bytes that mimalloc has committed when no thread is at work and no block is left, and it has had
 * the time to give pages back. While threads work, the figure is up or down by half from one moment
 * to the next. */
static uint64_t committed_at_rest(void) {
    empty_mailboxes();
    Sleep(PURGE_DELAY);
    free(malloc(1 << 20));
    int (*counters_of)(allograft_counters_t *) =
        exported(GetModuleHandleA(MODULE_NAME), "allograft_counters");
    allograft_counters_t counters = {.size = sizeof counters};
    CHECK(counters_of && counters_of(&counters), "the module does not tell its counters");
    return counters.committed_bytes;
}

int main(int count, char **arguments) {
    uintptr_t threads = count > 1 ? (uintptr_t)atoi(arguments[1]) : 5000;
    meet_harness();
    CHECK(taken_over(), "the module has not taken over");
    run_threads(0, SETTLED);
    uint64_t settled = committed_at_rest();
    run_threads(SETTLED, threads);
    uint64_t at_the_end = committed_at_rest();
    say("committed after %d threads: %llu bytes; after %llu: %llu", SETTLED,
        (unsigned long long)settled, (unsigned long long)threads, (unsigned long long)at_the_end);
    CHECK(at_the_end <= settled + settled / 10 + KEPT_PAGES,
          "memory grew with the number of threads");
    check_heaps();
    return verdict();
}
