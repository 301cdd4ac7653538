// build: args -fno-builtin
/* As storm, in a process whose ntdll is hooked as endpoint security hooks it: the functions that
 * protect and query memory and that suspend, read and resume threads allocate from the process's
 * heap whenever they are called. Ends with 2 if they cannot be hooked here. */

#include "support.h"

static const char *(*hook_calls)(int index, LONG *calls);

__attribute__((constructor)) static void hook_ntdll(void) {
    HMODULE hooks = LoadLibraryA("security_hooks.dll");
    int (*install)(char *why, size_t size) = exported(hooks, "install_hooks");
    hook_calls = exported(hooks, "hook_calls");
    char why[200] = "security_hooks.dll is missing";
    if (!install || install(why, sizeof why) < 5) {
        say("not tried: %s", why);
        ExitProcess(2);
    }
}

/* What the takeover has called, with all other threads suspended or not, went through the hooks. */
static void check_hooks(void) {
    LONG calls = 0;
    const char *name;
    for (int i = 0; (name = hook_calls(i, &calls)) != NULL; i++) {
        say("hooked %s: %ld calls", name, calls);
        CHECK(!taken_over() || calls > 0, "the takeover has not called %s", name);
    }
}

/* One thread holds the lock of the process's heap most of the time, as it does in large requests.
 */
static void hold_heap(void) {
    HANDLE heap = GetProcessHeap();
    HeapLock(heap);
    void *block = HeapAlloc(heap, HEAP_ZERO_MEMORY, 100000);
    HeapFree(heap, 0, block);
    HeapUnlock(heap);
}

#define OTHER_WORK(random) ((void)(random), hold_heap())
#define main storm
#include "storm.c"
#undef main

int main(int count, char **arguments) {
    int failed = storm(count, arguments);
    check_hooks();
    return failed || failures ? verdict() : 0;
}
