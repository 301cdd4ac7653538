// build: shared
// build: args -fno-builtin
/* Returns what its import table holds; import_tables.c loads it. */

#include <stdlib.h>

#include "import_slot.h"

extern void *IMPORT(malloc);

__declspec(dllexport) void *imported_malloc(void) { return IMPORT(malloc); }

__declspec(dllexport) void *allocate(size_t size) { return malloc(size); }
