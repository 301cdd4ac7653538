// build: args -fno-builtin
/* Eight threads at full speed, and one that keeps starting threads which work for a moment and end,
 * while the harness loads the module as often, by whatever name and in whatever way it likes. Goes
 * on for a while after that. Arguments: seed, milliseconds to go on. */

#include "traffic.h"

enum { WORKERS = 8, SHORT_LIVED = 4, OPERATIONS = 200, LIMIT = 30000 };

static volatile bool stop;
static volatile LONG started, ended;
static uint64_t seed;
static struct traffic traffics[WORKERS];

static DWORD WINAPI work(void *parameter) {
    while (!stop) {
        operate(parameter);
    }
    finish(parameter);
    return 0;
}

static DWORD WINAPI work_for_a_moment(void *parameter) {
    struct traffic traffic = {.random = seed_of(seed, (uint64_t)(uintptr_t)parameter)};
    for (int i = 0; i < OPERATIONS; i++) {
        operate(&traffic);
    }
    finish(&traffic);
    InterlockedIncrement(&ended);
    return 0;
}

/* Keeps a few short-lived threads going; every one of them must come to its end. */
static DWORD WINAPI keep_starting(void *parameter) {
    (void)parameter;
    HANDLE threads[SHORT_LIVED] = {0};
    for (uintptr_t number = WORKERS; !stop; number++) {
        HANDLE *place = &threads[number % SHORT_LIVED];
        if (*place) {
            CHECK(WaitForSingleObject(*place, LIMIT) == WAIT_OBJECT_0,
                  "a short-lived thread did not end");
            CloseHandle(*place);
        }
        *place = CreateThread(NULL, 0, work_for_a_moment, (void *)number, 0, NULL);
        CHECK(*place != NULL, "no thread could be started: error %lu", GetLastError());
        started += *place != NULL;
    }
    for (int i = 0; i < SHORT_LIVED; i++) {
        CHECK(!threads[i] || WaitForSingleObject(threads[i], LIMIT) == WAIT_OBJECT_0,
              "a short-lived thread did not end");
    }
    return 0;
}

int main(int count, char **arguments) {
    seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    DWORD go_on = count > 2 ? (DWORD)atoi(arguments[2]) : 50;
    HANDLE threads[WORKERS + 1];
    for (int i = 0; i < WORKERS; i++) {
        traffics[i].random = seed_of(seed, (uint64_t)i);
        threads[i] = CreateThread(NULL, 0, work, &traffics[i], 0, NULL);
    }
    threads[WORKERS] = CreateThread(NULL, 0, keep_starting, NULL, 0, NULL);
    meet_harness();
    Sleep(go_on);
    stop = true;
    DWORD waited = WaitForMultipleObjects(WORKERS + 1, threads, TRUE, LIMIT);
    CHECK(waited == WAIT_OBJECT_0, "the threads did not end");
    CHECK(started == ended, "%ld threads were started and %ld ended", started, ended);
    CHECK(started > 0, "no thread was started");
    if (waited == WAIT_OBJECT_0) {
        empty_mailboxes();
        check_heaps();
    }
    return verdict();
}
