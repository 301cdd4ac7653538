// build: args -fno-builtin
/* Fibers that move from thread to thread, and work items of the system's thread pool, allocate
 * before the module comes and free after it, and the other way round. */

#include "traffic.h"

enum { FIBERS = 6, ROUNDS = 200, ITEMS = 400, OPERATIONS = 40 };

static struct traffic fiber_traffics[FIBERS];
static void *fibers[FIBERS];
/* The fiber of whatever thread resumes the others at the moment; one does at a time. No
 * thread-local variable: compilers keep the address of one across a switch, after which the thread
 * may be another. */
static void *volatile scheduler;

/* Works a little whenever it is resumed, on whatever thread that is. */
static void CALLBACK fiber_main(void *parameter) {
    for (;;) {
        for (int i = 0; i < OPERATIONS; i++) {
            operate(parameter);
        }
        SwitchToFiber(scheduler);
    }
}

static void resume_all(void) {
    scheduler = ConvertThreadToFiber(NULL);
    CHECK(scheduler != NULL, "the thread is no fiber: error %lu", GetLastError());
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < FIBERS; i++) {
            SwitchToFiber(fibers[i]);
        }
    }
    ConvertFiberToThread();
}

static DWORD WINAPI resume_on_another_thread(void *parameter) {
    resume_all();
    return 0;
}

static volatile LONG items_done;

static void CALLBACK work_item(PTP_CALLBACK_INSTANCE instance, void *parameter, PTP_WORK work) {
    operate_for_a_while(2, (uint64_t)InterlockedIncrement(parameter), OPERATIONS);
}

static void use_pool(void) {
    PTP_WORK work = CreateThreadpoolWork(work_item, (void *)&items_done, NULL);
    CHECK(work != NULL, "no work item: error %lu", GetLastError());
    for (int i = 0; i < ITEMS; i++) {
        SubmitThreadpoolWork(work);
    }
    WaitForThreadpoolWorkCallbacks(work, FALSE);
    CloseThreadpoolWork(work);
}

int main(void) {
    for (int i = 0; i < FIBERS; i++) {
        fiber_traffics[i].random = seed_of(1, (uint64_t)i);
        fibers[i] = CreateFiber(0x10000, fiber_main, &fiber_traffics[i]);
    }
    resume_all();
    use_pool();
    meet_harness();
    CHECK(taken_over(), "the module has not taken over");
    use_pool();
    run_thread(resume_on_another_thread, NULL);
    resume_all();
    for (int i = 0; i < FIBERS; i++) {
        DeleteFiber(fibers[i]);
        finish(&fiber_traffics[i]);
    }
    CHECK(items_done == 2 * ITEMS, "%ld items were done", items_done);
    empty_mailboxes();
    check_heaps();
    return verdict();
}
