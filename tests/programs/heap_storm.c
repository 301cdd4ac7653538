// build: args -fno-builtin
/* As storm, with a C runtime that is linked in; and one thread keeps loading and unloading a DLL
 * that uses the heap API, looks functions up, and passes blocks between all of them. */

#include "support.h"
#include "linked_runtime.h"
#include <malloc.h>
#include <stdlib.h>

__attribute__((constructor)) static void start_before_main(void) { start_linked_runtime(); }

static void use_other_modules(uint64_t *random) {
    HMODULE library = LoadLibraryA("heap_user.dll");
    void *(*make)(size_t) = exported(library, "make");
    void (*take)(void *) = exported(library, "take");
    BOOL(WINAPI * looked_up)(HANDLE, DWORD, void *) =
        exported(GetModuleHandleA("kernel32.dll"), "HeapFree");
    CHECK(make && take && looked_up, "a DLL is missing");
    for (int i = 0; make && take && looked_up && i < 50; i++) {
        size_t size = 1 + (size_t)(next_random(random) % 3000);
        void *own = linked_malloc(size), *foreign = make(size);
        fill(own, size, 1);
        fill(foreign, size, 2);
        foreign = linked_realloc(foreign, size + 100);
        CHECK(intact(foreign, size, 2) == size, "a block of the DLL's changed");
        CHECK(linked_msize(own) == size, "HeapSize %zu instead of %zu", linked_msize(own), size);
        take(own);
        CHECK(looked_up(linked_heap, 0, foreign), "a function that was looked up does not free");
        linked_free(make(size));
        CHECK(!LocalFree(linked_malloc(size)), "LocalFree");
    }
    FreeLibrary(library);
}

#define OTHER_WORK use_other_modules
#define malloc linked_malloc
#define realloc linked_realloc
#define free linked_free
#define _aligned_malloc linked_aligned_malloc
#define _aligned_realloc linked_aligned_realloc
#define _aligned_free linked_aligned_free
#define _get_heap_handle() linked_heap
#include "storm.c"
