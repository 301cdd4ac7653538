// build: args -fno-builtin
/* A program that went through a protector, judging by a section's name: its import table stays as
 * it is, also where it leads to the heap. The C runtime is taken over by its own functions. */

#include "support.h"
#include "import_slot.h"
#include <stdlib.h>

extern void *IMPORT(malloc);
SYSTEM_IMPORT(slot_of_alloc, HeapAlloc, 12);
SYSTEM_IMPORT(slot_of_free, HeapFree, 12);

__attribute__((section(".vmp0"), used)) static int mark = 1;

int main(void) {
    meet_harness();
    CHECK(taken_over(), "nothing was taken over");
    HMODULE kernel = GetModuleHandleA("kernel32.dll");
    CHECK(IMPORT(malloc) == crt_function("malloc"), "the import of malloc was redirected");
    CHECK(slot_of_free == exported(kernel, "HeapFree"), "HeapFree was redirected");
    CHECK(slot_of_alloc == exported(kernel, "HeapAlloc"), "HeapAlloc was redirected");
    void *block = malloc(100), *raw = HeapAlloc(GetProcessHeap(), 0, 100);
    CHECK(owned(block), "a block of malloc's is not mimalloc's");
    CHECK(!owned(raw), "a block of HeapAlloc's is mimalloc's");
    CHECK(HeapFree(GetProcessHeap(), 0, block), "kernel32's HeapFree does not free it");
    CHECK(HeapFree(GetProcessHeap(), 0, raw), "the old block cannot be freed");
    return verdict();
}
