// build: shared
// build: args -fno-builtin
/* Allocates by its own imports; heap_scope.c loads it. */

#include <windows.h>

#include "import_slot.h"

SYSTEM_IMPORT(slot_of_free, HeapFree, 12);

__declspec(dllexport) void *imported_free(void) { return slot_of_free; }

__declspec(dllexport) void *allocate(size_t size) { return HeapAlloc(GetProcessHeap(), 0, size); }
