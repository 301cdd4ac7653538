// The heap functions of a C runtime that is linked into a program, as Microsoft's `libucrt.lib` has
// them: on the process's heap.

#include <stdint.h>
#include <string.h>
#include <windows.h>

void *malloc(size_t size) { return HeapAlloc(GetProcessHeap(), 0, size == 0 ? 1 : size); }

void *calloc(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    const size_t total = count * size;
    return HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, total == 0 ? 1 : total);
}

void free(void *block) {
    if (block != NULL)
        HeapFree(GetProcessHeap(), 0, block);
}

void *realloc(void *block, size_t size) {
    if (block == NULL)
        return malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    return HeapReAlloc(GetProcessHeap(), 0, block, size);
}

size_t _msize(void *block) { return HeapSize(GetProcessHeap(), 0, block); }
