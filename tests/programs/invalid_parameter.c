// build: args -fno-builtin
/* An invalid argument goes to the CRT's handler: the thread's own if it has one, else the
 * process's. */

#include "support.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

typedef void (*handler_fn)(const wchar_t *, const wchar_t *, const wchar_t *, unsigned, uintptr_t);
__declspec(dllimport) handler_fn _set_thread_local_invalid_parameter_handler(handler_fn);

static volatile LONG of_process, of_thread;

INVALID_PARAMETER_HANDLER(process_handler, InterlockedIncrement(&of_process);
                          CHECK(!expression && !function && !file && !line && !reserved,
                                "the handler was told more than the CRT tells"))
INVALID_PARAMETER_HANDLER(thread_handler, InterlockedIncrement(&of_thread))

#define REFUSED(call, handled_by)                                                                  \
    do {                                                                                           \
        LONG before = handled_by;                                                                  \
        errno = 77;                                                                                \
        (void)(call);                                                                              \
        CHECK(errno == EINVAL, "%s set errno to %d", #call, errno);                                \
        CHECK(handled_by == before + 1, "%s called %s %ld times", #call, #handled_by,              \
              handled_by - before);                                                                \
    } while (0)

static void every_bad_call(volatile LONG *handled_by) {
    void *plain = malloc(10), *aligned = _aligned_malloc(10, 16);
    REFUSED(_msize(NULL), *handled_by);
    REFUSED(_expand(NULL, 5), *handled_by);
    REFUSED(_aligned_malloc(5, 3), *handled_by);
    REFUSED(_aligned_msize(NULL, 16, 0), *handled_by);
    REFUSED(_aligned_realloc(aligned, 5, 3), *handled_by);
    REFUSED(_aligned_recalloc(aligned, 5, 1, 3), *handled_by);
    REFUSED(_aligned_offset_malloc(5, 16, 5), *handled_by);
    REFUSED(_aligned_offset_realloc(aligned, 5, 16, 5), *handled_by);
    REFUSED(_aligned_offset_recalloc(aligned, 5, 1, 16, 5), *handled_by);
    REFUSED(_dupenv_s(NULL, NULL, "x"), *handled_by);
    REFUSED(_wdupenv_s(NULL, NULL, L"x"), *handled_by);
    _aligned_free(aligned);
    free(plain);
}

static DWORD WINAPI with_its_own_handler(void *parameter) {
    _set_thread_local_invalid_parameter_handler(thread_handler);
    LONG before = of_process;
    every_bad_call(&of_thread);
    CHECK(of_process == before, "the process's handler was called beside the thread's");
    return 0;
}

static DWORD WINAPI without_one(void *parameter) {
    LONG before = of_thread;
    every_bad_call(&of_process);
    CHECK(of_thread == before, "another thread's handler was called");
    return 0;
}

int main(void) {
    _set_invalid_parameter_handler(process_handler);
    meet_harness();
    run_thread(with_its_own_handler, NULL);
    run_thread(without_one, NULL);
    return verdict();
}
