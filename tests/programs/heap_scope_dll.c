// build: shared
// build: args -fno-builtin
/* Allocates by its own imports; heap_scope.c loads it. */

#include <windows.h>

#include "import_slot.h"

extern void *IMPORT(HeapAlloc), *IMPORT(HeapFree);

__declspec(dllexport) void *slot_of_alloc(void) { return IMPORT(HeapAlloc); }

__declspec(dllexport) void *slot_of_free(void) { return IMPORT(HeapFree); }

__declspec(dllexport) void *allocate(size_t size) { return HeapAlloc(GetProcessHeap(), 0, size); }
