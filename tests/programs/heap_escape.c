// build: args -fno-builtin
/* Gives blocks of mimalloc's to the system's own heap functions, through pointers from before the
 * module came: what the escape counter of the debug variant must see. The argument is how many. */

#include "support.h"
#include <stdlib.h>

int main(int count, char **arguments) {
    int escapes = count > 1 ? atoi(arguments[1]) : 1;
    SIZE_T(WINAPI * size)(HANDLE, DWORD, const void *) =
        exported(GetModuleHandleA("ntdll.dll"), "RtlSizeHeap");
    HANDLE heap = GetProcessHeap();
    meet_harness();
    void *block = HeapAlloc(heap, 0, 100);
    CHECK(owned(block), "the process's heap is not served");
    for (int i = 0; i < escapes; i++) {
        CHECK(size(heap, 0, block) != 100, "Wine's heap knows a block of mimalloc's");
    }
    CHECK(HeapSize(heap, 0, block) == 100, "HeapSize");
    HeapFree(heap, 0, block);
    return verdict();
}
