// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program that imports neither a C runtime nor the heap functions: there is nothing that could be
 * redirected. Waits for the harness, ends with 42. */

#include "no_crt.h"

void start(void) {
    meet_harness();
    write_text("passed\n");
    ExitProcess(42);
}
