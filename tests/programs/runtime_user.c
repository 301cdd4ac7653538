// build: shared
// build: args -fno-builtin
/* A DLL that uses the C runtime from its first moment to its last: when it is loaded and unloaded,
 * when threads begin and end, and for its callers. */

#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { KEPT = 1000 };

static unsigned char *kept;

__declspec(dllexport) void *make(size_t size) { return malloc(size); }

__declspec(dllexport) void *resize(void *block, size_t size) { return realloc(block, size); }

__declspec(dllexport) void take(void *block) { free(block); }

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *reserved) {
    (void)module;
    if (reason == DLL_PROCESS_ATTACH) {
        kept = malloc(KEPT);
        if (kept) {
            memset(kept, 7, KEPT);
        }
        return kept != NULL;
    }
    if (reason == DLL_PROCESS_DETACH) {
        if (reserved) {
            return TRUE;
        }
        for (int i = 0; i < KEPT; i++) {
            if (kept[i] != 7) {
                abort();
            }
        }
        free(kept);
        return TRUE;
    }
    free(realloc(malloc(10), 100));
    return TRUE;
}
