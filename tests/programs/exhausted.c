// build: args -fno-builtin
/* Memory runs out: errors are those of the contract, blocks stay intact, and when memory is given
 * back all goes on. The limit is set by a job object, which Wine ignores: there the harness sets
 * one of the host's. Arguments: megabytes of the limit; the path of the module, for the program to
 * load when memory has run out (no injector could create a thread then). */

#include "support.h"
#include <errno.h>
#include <new.h>
#include <stdlib.h>

enum { BLOCK = 1 << 20, MOST = 8192, SMALL = 300 };

static void *blocks[MOST];
static volatile LONG handler_calls;

static void limit_memory(size_t bytes) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_PROCESS_MEMORY;
    limits.ProcessMemoryLimit = bytes;
    HANDLE job = CreateJobObjectA(NULL, NULL);
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    AssignProcessToJobObject(job, GetCurrentProcess());
}

/* Allocates until there is no more; how many blocks there were. */
static int use_all(size_t size) {
    int count = 0;
    while (count < MOST) {
        errno = 0;
        blocks[count] = malloc(size);
        if (!blocks[count]) {
            break;
        }
        memset(blocks[count], 0x5A, size);
        count++;
    }
    CHECK(count < MOST, "the limit was not enforced");
    CHECK(errno == ENOMEM, "malloc failed with errno %d", errno);
    return count;
}

static void give_back(int count) {
    for (int i = 0; i < count; i++) {
        free(blocks[i]);
    }
}

static int give_up(size_t size) { return InterlockedIncrement(&handler_calls) < 3; }

#define FAILS(call)                                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK(!(call) && errno == ENOMEM, "%s: errno %d", #call, errno);                           \
    } while (0)

static void everything_fails_as_it_should(int count) {
    FAILS(calloc(4, BLOCK));
    FAILS(_aligned_malloc(4 * BLOCK, 4096));
    FAILS(realloc(blocks[0], 8 * BLOCK));
    FAILS(_recalloc(NULL, 4, BLOCK));
    CHECK(count == 0 || ((char *)blocks[0])[BLOCK - 1] == 0x5A,
          "a block changed when realloc failed");
    _set_new_mode(1);
    _set_new_handler(give_up);
    handler_calls = 0;
    CHECK(malloc(4 * BLOCK) == NULL, "there was memory after all");
    CHECK(handler_calls == 3, "the new handler was called %ld times", handler_calls);
    _set_new_handler(NULL);
    _set_new_mode(0);
}

/* Begins when the event in `parameter` is set: a thread started in need may not come up at all. */
static DWORD WINAPI work_in_need(void *parameter) {
    WaitForSingleObject(parameter, INFINITE);
    for (int i = 0; i < 2000; i++) {
        void *block = malloc((size_t)i * 10);
        if (block) {
            memset(block, 1, (size_t)i * 10);
        }
        free(block);
    }
    return 0;
}

static void check_that_there_is_memory(void) {
    void *block = malloc(4 * BLOCK);
    CHECK(block != NULL, "no memory although all was given back");
    free(block);
}

/* The module may take over with what little there is, or not; both are fine, and the program goes
 * on. */
static int load_in_need(const char *module) {
    int held = use_all(SMALL * 1024);
    HMODULE loaded = LoadLibraryA(module);
    look_for_module();
    say("the module is %s, and %s", loaded ? "loaded" : "not loaded",
        taken_over() ? "has taken over" : "has not taken over");
    for (int i = 0; i < held; i++) {
        CHECK(((char *)blocks[i])[SMALL * 1024 - 1] == 0x5A, "block %d changed", i);
    }
    give_back(held);
    check_that_there_is_memory();
    return verdict();
}

int main(int count, char **arguments) {
    size_t limit = (size_t)(count > 1 ? atoi(arguments[1]) : 400) << 20;
    limit_memory(limit);
    if (count > 2) {
        return load_in_need(arguments[2]);
    }
    HANDLE need = CreateEventA(NULL, TRUE, FALSE, NULL);
    HANDLE threads[] = {start_thread(work_in_need, need), start_thread(work_in_need, need)};
    meet_harness();
    CHECK(taken_over(), "the module has not taken over");
    int held = use_all(BLOCK);
    everything_fails_as_it_should(held);
    SetEvent(need);
    await_threads(threads, COUNT_OF(threads));
    give_back(held);
    check_that_there_is_memory();
    return verdict();
}
