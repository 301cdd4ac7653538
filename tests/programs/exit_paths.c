// build: args -fno-builtin
/* Ends as its first argument says, with busy threads if there is a second one. The exit code is 7,
 * except after an abort (3) and an unhandled exception (its code). */

#include "support.h"
#include <process.h>
#include <stdlib.h>

enum { WORKERS = 8, EXIT_CODE = 7 };

static char *kept_until_exit;
static HANDLE workers[WORKERS];

static void frees_at_exit(void) {
    CHECK(intact(kept_until_exit, 3000, 1) == 3000, "the block kept until exit changed");
    free(kept_until_exit);
    free(realloc(malloc(10), 10000));
    say(failures ? "failed" : "exit functions ran");
}

static unsigned __stdcall busy(void *parameter) {
    uint64_t random = (uint64_t)(uintptr_t)parameter + 1;
    void *slots[64] = {0};
    for (;;) {
        int slot = (int)(next_random(&random) % 64);
        free(slots[slot]);
        slots[slot] = malloc(next_random(&random) % 2000);
    }
    return 0;
}

static unsigned __stdcall ends_the_process(void *parameter) { ExitProcess(EXIT_CODE); }

static LONG WINAPI ends_with_its_code(EXCEPTION_POINTERS *pointers) {
    TerminateProcess(GetCurrentProcess(), pointers->ExceptionRecord->ExceptionCode);
    return EXCEPTION_EXECUTE_HANDLER;
}

static int end(const char *way) {
    if (strcmp(way, "exit") == 0) {
        exit(EXIT_CODE);
    } else if (strcmp(way, "_exit") == 0) {
        _exit(EXIT_CODE);
    } else if (strcmp(way, "quick_exit") == 0) {
        quick_exit(EXIT_CODE);
    } else if (strcmp(way, "abort") == 0) {
        _set_abort_behavior(0, _WRITE_ABORT_MSG | _CALL_REPORTFAULT);
        abort();
    } else if (strcmp(way, "ExitProcess") == 0) {
        ExitProcess(EXIT_CODE);
    } else if (strcmp(way, "other-thread") == 0) {
        _beginthreadex(NULL, 0, ends_the_process, NULL, 0, NULL);
        Sleep(20000);
    } else if (strcmp(way, "terminated-threads") == 0) {
        for (int i = 0; i < WORKERS && workers[i]; i += 2) {
            TerminateThread(workers[i], 1);
        }
    } else if (strcmp(way, "TerminateProcess") == 0) {
        TerminateProcess(GetCurrentProcess(), EXIT_CODE);
    } else if (strcmp(way, "exception") == 0) {
        SetUnhandledExceptionFilter(ends_with_its_code);
        RaiseException(0xE0000007, EXCEPTION_NONCONTINUABLE, 0, NULL);
    }
    return EXIT_CODE;
}

int main(int count, char **arguments) {
    const char *way = count > 1 ? arguments[1] : "return";
    kept_until_exit = malloc(3000);
    fill(kept_until_exit, 3000, 1);
    atexit(frees_at_exit);
    for (uintptr_t i = 0; count > 2 && i < WORKERS; i++) {
        workers[i] = (HANDLE)_beginthreadex(NULL, 0, busy, (void *)i, 0, NULL);
    }
    meet_harness();
    for (int i = 0; i < 100; i++) {
        free(malloc(1000));
    }
    return end(way);
}
