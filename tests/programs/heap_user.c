// build: shared
// build: args -fno-builtin
/* A DLL that uses the heap API: it hands out blocks of the process's heap, and frees its callers'.
 */

#include <windows.h>

__declspec(dllexport) void *make(size_t size) { return HeapAlloc(GetProcessHeap(), 0, size); }

__declspec(dllexport) void take(void *block) { HeapFree(GetProcessHeap(), 0, block); }
