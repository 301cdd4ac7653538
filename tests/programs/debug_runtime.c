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
        write_text("FAILED: a DLL is missing\n");
        ExitProcess(1);
    }
    void *(*allocate)(size_t) = (void *(*)(size_t))GetProcAddress(runtime, "malloc");
    int (*owns)(const void *) = (int (*)(const void *))GetProcAddress(module, "allograft_owns");
    int (*active)(void) = (int (*)(void))GetProcAddress(module, "allograft_active");
    if (active() || owns(allocate(100))) {
        write_text("FAILED: the debug runtime was taken over\n");
        ExitProcess(1);
    }
    write_text("passed\n");
    ExitProcess(0);
}
