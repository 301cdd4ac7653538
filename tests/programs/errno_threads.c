// build: args -fno-builtin
/* `errno` is the calling thread's own: a failing call sets it there, a successful one leaves it,
 * other threads see nothing. */

#include "support.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 2000 };

static HANDLE everybody_ready;
static volatile LONG ready;

static DWORD WINAPI worker(void *parameter) {
    int own = 100 + (int)(intptr_t)parameter;
    bool fails = (intptr_t)parameter % 2;
    if (InterlockedIncrement(&ready) == THREADS) {
        SetEvent(everybody_ready);
    }
    WaitForSingleObject(everybody_ready, 20000);
    for (int round = 0; round < ROUNDS; round++) {
        errno = own;
        _doserrno = (unsigned long)own;
        SetLastError((DWORD)own);
        void *block = malloc(64);
        block = realloc(block, 3000);
        free(block);
        _aligned_free(_aligned_malloc(100, 64));
        CHECK(errno == own, "successful calls changed errno from %d to %d", own, errno);
        CHECK(_doserrno == (unsigned long)own, "successful calls changed _doserrno to %lu",
              _doserrno);
        CHECK(GetLastError() == (DWORD)own, "successful calls changed the last error to %lu",
              GetLastError());
        if (fails) {
            CHECK(malloc(SIZE_MAX) == NULL && errno == ENOMEM, "malloc failed with errno %d",
                  errno);
            errno_t told = 0;
            _get_errno(&told);
            CHECK(told == ENOMEM, "_get_errno tells %d", told);
            _set_errno(own);
            CHECK(calloc(SIZE_MAX, 2) == NULL && errno == ENOMEM, "calloc failed with errno %d",
                  errno);
        }
    }
    return 0;
}

int main(void) {
    HANDLE threads[THREADS];
    meet_harness();
    everybody_ready = CreateEventA(NULL, TRUE, FALSE, NULL);
    errno = 99;
    for (intptr_t i = 0; i < THREADS; i++) {
        threads[i] = start_thread(worker, (void *)i);
    }
    await_threads(threads, THREADS);
    CHECK(errno == 99, "another thread's failure set errno here to %d", errno);
    return verdict();
}
