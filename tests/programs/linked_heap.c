// build: args -nostdlib -lkernel32 -lmimalloc -Wl,--entry=start -fno-builtin -fno-stack-protector
/* A program with its C runtime linked in that imports mimalloc.dll: its calls of the heap API must
 * come to the same mimalloc. It has no C runtime but that one. */

#include "no_crt.h"
#include "linked_runtime.h"

#ifdef LOADS_A_PROXY
#include "module_name.h"

__declspec(dllimport) unsigned long __stdcall GetFileVersionInfoSizeA(const char *,
                                                                      unsigned long *);

/* The proxy has loaded the module, which knows its blocks. */
static int is_mimallocs(const void *block) {
    HANDLE module = GetModuleHandleA(MODULE_NAME);
    int (*owns)(const void *) = module ? GetProcAddress(module, "allograft_owns") : NULL;
    if (!GetFileVersionInfoSizeA("kernel32.dll", NULL)) {
        fail("version.dll does not work\n");
    }
    return owns && owns(block);
}
#else
__declspec(dllimport) _Bool mi_is_in_heap_region(const void *);
__declspec(dllimport) void *mi_malloc(size_t);

static int is_mimallocs(const void *block) {
    /* The heap API takes blocks of mimalloc's own functions. */
    if (!HeapFree(linked_heap, 0, mi_malloc(100))) {
        fail("a block of mi_malloc cannot be given to HeapFree\n");
    }
    return mi_is_in_heap_region(block);
}
#endif

void start(void) {
    start_linked_runtime();
    for (size_t size = 1; size < 100000; size = size * 2 + 1) {
        unsigned char *block = linked_malloc(size);
        if (!is_mimallocs(block)) {
            fail("HeapAlloc does not come to mimalloc\n");
        }
        block[0] = block[size - 1] = 7;
        block = linked_recalloc(block, size + 100, 1);
        if (!is_mimallocs(block) || linked_msize(block) != size + 100 || block[size - 1] != 7 ||
            block[size] != 0) {
            fail("HeapReAlloc or HeapSize does not come to mimalloc\n");
        }
        linked_free(block);
    }
    if (is_mimallocs(&linked_heap)) {
        fail("everything is said to be mimalloc's\n");
    }
    write_text("passed\n");
    ExitProcess(0);
}
