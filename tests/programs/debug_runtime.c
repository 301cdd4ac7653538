// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program without a C runtime loads a debug one while it runs, which is left alone: its blocks
 * stay the old heap's. */

#include "no_crt.h"
#include "module_name.h"

void start(void) {
    meet_harness();
    HANDLE runtime = LoadLibraryA("ucrtbased.dll");
    HANDLE module = GetModuleHandleA(MODULE_NAME);
    if (!runtime || !module) {
        fail("FAILED: a DLL is missing\n");
    }
    void *(*allocate)(size_t) = GetProcAddress(runtime, "malloc");
    int (*owns)(const void *) = GetProcAddress(module, "allograft_owns");
    int (*active)(void) = GetProcAddress(module, "allograft_active");
    if (active() || owns(allocate(100))) {
        fail("FAILED: the debug runtime was taken over\n");
    }
    write_text("passed\n");
    ExitProcess(0);
}
