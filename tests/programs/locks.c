// build: args -fno-builtin
/* A thread holds a lock most of the time, and two others work, while the harness loads the module.
 * The first argument names the lock: heap, loader or stream. */

#include "traffic.h"

enum { WORKERS = 2 };

static struct traffic traffics[WORKERS];

/* The heap of the C runtime and of the process, which are one on today's systems. */
static void hold_heap(uint64_t *random) {
    HANDLE heaps[] = {GetProcessHeap(), (HANDLE)_get_heap_handle()};
    HeapLock(heaps[0]);
    HeapLock(heaps[1]);
    Sleep((DWORD)(next_random(random) % 30));
    HeapUnlock(heaps[1]);
    HeapUnlock(heaps[0]);
}

static void hold_loader(uint64_t *random) {
    HMODULE library = LoadLibraryA("slow_library.dll");
    CHECK(library != NULL, "slow_library.dll was not loaded: error %lu", GetLastError());
    FreeLibrary(library);
}

static void hold_stream(uint64_t *random) {
    _lock_file(stdout);
    Sleep((DWORD)(next_random(random) % 30));
    _unlock_file(stdout);
}

static DWORD WINAPI hold(void *parameter) {
    void (*once)(uint64_t *) = parameter;
    uint64_t random = 1;
    while (!stop) {
        once(&random);
        Sleep(1);
    }
    return 0;
}

int main(int count, char **arguments) {
    const char *lock = count > 1 ? arguments[1] : "heap";
    void (*once)(uint64_t *) = strcmp(lock, "loader") == 0   ? hold_loader
                               : strcmp(lock, "stream") == 0 ? hold_stream
                                                             : hold_heap;
    HANDLE threads[WORKERS + 1];
    for (int i = 0; i < WORKERS; i++) {
        traffics[i].random = seed_of(1, (uint64_t)i);
        threads[i] = start_thread(operate_until_stop, &traffics[i]);
    }
    threads[WORKERS] = start_thread(hold, (void *)once);
    meet_harness();
    CHECK(taken_over(), "the module has not taken over");
    Sleep(50);
    stop_and_check(threads, COUNT_OF(threads));
    return verdict();
}
