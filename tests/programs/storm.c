// build: args -fno-builtin
/* Eight threads at full speed, and one that keeps starting threads which work for a moment and end,
 * while the harness loads the module as often, by whatever name and in whatever way it likes. Goes
 * on for a while after that. Arguments: seed, milliseconds to go on. */

#include "traffic.h"

enum { WORKERS = 8, SHORT_LIVED = 4, OPERATIONS = 200 };

static volatile LONG started, ended;
static uint64_t seed;
static struct traffic traffics[WORKERS];

static DWORD WINAPI work_for_a_moment(void *parameter) {
    operate_for_a_while(seed, (uintptr_t)parameter, OPERATIONS);
    InterlockedIncrement(&ended);
    return 0;
}

/* Keeps a few short-lived threads going; every one of them must come to its end. */
static DWORD WINAPI keep_starting(void *parameter) {
    HANDLE threads[SHORT_LIVED] = {0};
    for (uintptr_t number = WORKERS; !stop; number++) {
        HANDLE *place = &threads[number % SHORT_LIVED];
        if (*place) {
            await_threads(place, 1);
        }
        *place = start_thread(work_for_a_moment, (void *)number);
        started += *place != NULL;
    }
    for (int i = 0; i < SHORT_LIVED; i++) {
        if (threads[i]) {
            await_threads(&threads[i], 1);
        }
    }
    return 0;
}

/* What other programs of this kind do beside it. */
#ifndef OTHER_WORK
#define OTHER_WORK(random) ((void)(random), Sleep(1))
#endif

static DWORD WINAPI do_other_work(void *parameter) {
    uint64_t random = seed_of(seed, 99);
    while (!stop) {
        OTHER_WORK(&random);
    }
    return 0;
}

int main(int count, char **arguments) {
    seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    DWORD go_on = count > 2 ? (DWORD)atoi(arguments[2]) : 50;
    HANDLE threads[WORKERS + 2];
    for (int i = 0; i < WORKERS; i++) {
        traffics[i].random = seed_of(seed, (uint64_t)i);
        threads[i] = start_thread(operate_until_stop, &traffics[i]);
    }
    threads[WORKERS] = start_thread(keep_starting, NULL);
    threads[WORKERS + 1] = start_thread(do_other_work, NULL);
    meet_harness();
    Sleep(go_on);
    /* On a busy machine that may be before the first thread was started. */
    for (int waited = 0; !started && waited < 60000; waited++) {
        Sleep(1);
    }
    stop_and_check(threads, COUNT_OF(threads));
    CHECK(started == ended, "%ld threads were started and %ld ended", started, ended);
    CHECK(started > 0, "no thread was started");
    return verdict();
}
