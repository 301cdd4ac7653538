// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program without a C runtime loads one while it runs. The module, which waits for one, takes it
 * over then. */

#include "no_crt.h"
#include "module_name.h"

void start(void) {
    meet_harness();
    HANDLE module = GetModuleHandleA(MODULE_NAME);
    HANDLE runtime = LoadLibraryA("ucrtbase.dll");
    if (!runtime) {
        fail("FAILED: ucrtbase.dll could not be loaded\n");
    }
    void *(*allocate)(size_t) = GetProcAddress(runtime, "malloc");
    void (*release)(void *) = GetProcAddress(runtime, "free");
    void *block = allocate(100);
    if (!block) {
        fail("FAILED: malloc returned NULL\n");
    }
    if (module) {
        int (*active)(void) = GetProcAddress(module, "allograft_active");
        int (*owns)(const void *) = GetProcAddress(module, "allograft_owns");
        if (!active() || !owns(block)) {
            fail("FAILED: the C runtime that was loaded later was not taken over\n");
        }
    }
    release(block);
    write_text("passed\n");
    ExitProcess(0);
}
