// build: args -fno-builtin
/* The program frees the module as often as it likes, from several threads, and it stays. */

#include "support.h"
#include <stdlib.h>

enum { THREADS = 4, TIMES = 2000 };

static DWORD WINAPI free_it(void *parameter) {
    for (int i = 0; i < TIMES; i++) {
        FreeLibrary(parameter);
        void *block = malloc(100);
        CHECK(in_current_heap(block), "a block is not mimalloc's after %d times", i);
        free(block);
    }
    return 0;
}

int main(void) {
    char *old = malloc(100);
    meet_harness();
    HMODULE module = GetModuleHandleA(MODULE_NAME);
    CHECK(module != NULL && taken_over(), "the module has not taken over");
    HANDLE threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = start_thread(free_it, module);
    }
    await_threads(threads, THREADS);
    CHECK(GetModuleHandleA(MODULE_NAME) == module, "the module is gone");
    free(old);
    return verdict();
}
