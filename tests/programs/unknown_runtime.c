// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program without a C runtime loads one while it runs, whose file lies beside it, and says
 * whether the blocks of that come from mimalloc. */

#include "no_crt.h"
#include "module_name.h"

enum { BLOCKS = 1000 };

static unsigned char *blocks[BLOCKS];

void start(void) {
    HANDLE runtime = LoadLibraryA("msvcr120.dll");
    HANDLE module = GetModuleHandleA(MODULE_NAME);
    if (!runtime || !module) {
        fail("FAILED: a DLL is missing\n");
    }
    void *(*allocate)(size_t) = GetProcAddress(runtime, "malloc");
    void *(*resize)(void *, size_t) = GetProcAddress(runtime, "realloc");
    void (*release)(void *) = GetProcAddress(runtime, "free");
    int (*owns)(const void *) = GetProcAddress(module, "allograft_owns");
    int owned = 0;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = allocate((size_t)i + 1);
        blocks[i][i] = (unsigned char)i;
    }
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = resize(blocks[i], (size_t)i * 2 + 1);
        owned += owns(blocks[i]) != 0;
        if (blocks[i][i] != (unsigned char)i) {
            fail("FAILED: a block has changed\n");
        }
        release(blocks[i]);
    }
    write_text(owned == BLOCKS ? "on mimalloc\n" : owned == 0 ? "on its own heap\n" : "mixed\n");
    ExitProcess(0);
}
