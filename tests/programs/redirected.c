// Uses an unmodified mimalloc.dll with a mimalloc-redirect.dll beside it: imported, or with `late` as its first argument loaded while
// the program runs, which then has blocks of the old heap. `untouched` says that nothing is to be redirected.

#include <stdlib.h>

#include "support.h"

enum { OLD_BLOCKS = 1000 };

static struct {
    bool (*is_redirected)(void);
    bool (*is_in_heap_region)(const void *);
    void *(*malloc)(size_t);
    void (*free)(void *);
} mimalloc;

static bool find(HMODULE module) {
    mimalloc.is_redirected = (bool (*)(void))(void *)GetProcAddress(module, "mi_is_redirected");
    mimalloc.is_in_heap_region = (bool (*)(const void *))(void *)GetProcAddress(module, "mi_is_in_heap_region");
    mimalloc.malloc = (void *(*)(size_t))(void *)GetProcAddress(module, "mi_malloc");
    mimalloc.free = (void (*)(void *))(void *)GetProcAddress(module, "mi_free");
    return mimalloc.is_redirected && mimalloc.is_in_heap_region && mimalloc.malloc && mimalloc.free;
}

/* Every function of the family, with the sizes and alignments that matter to it. */
static void check_family(void) {
    for (size_t size = 0; size < 300000; size = size * 3 + 1) {
        unsigned char *block = malloc(size);
        CHECK(mimalloc.is_in_heap_region(block), "malloc(%zu) is not mimalloc's", size);
        CHECK(aligned_to(block, 16), "malloc(%zu) lies at %p", size, (void *)block);
        CHECK(_msize(block) >= size, "_msize is too small for %zu", size);
        fill(block, size, 3);
        block = realloc(block, size * 2 + 10);
        CHECK(intact(block, size, 3) == size, "realloc changed a block of %zu bytes", size);
        free(block);
        unsigned char *zeroed = calloc(size + 1, 3);
        CHECK(mimalloc.is_in_heap_region(zeroed) && zeroed[0] == 0 && zeroed[size * 3] == 0, "calloc(%zu, 3)", size);
        free(zeroed);
        void *aligned = _aligned_malloc(size, 256);
        CHECK(mimalloc.is_in_heap_region(aligned) && aligned_to(aligned, 256), "_aligned_malloc(%zu, 256)", size);
        aligned = _aligned_realloc(aligned, size + 500, 256);
        CHECK(aligned_to(aligned, 256), "_aligned_realloc lost the alignment");
        _aligned_free(aligned);
    }
    free(NULL);
    void *from_mimalloc = mimalloc.malloc(100), *from_runtime = malloc(100);
    free(from_mimalloc);
    mimalloc.free(from_runtime);
    char *copy = _strdup("text");
    CHECK(mimalloc.is_in_heap_region(copy), "_strdup's copy is not mimalloc's");
    free(copy);
}

static DWORD WINAPI allocate_and_end(void *unused) {
    (void)unused;
    check_family();
    return 0;
}

int main(int count, char **arguments) {
    bool late = count > 1 && strcmp(arguments[1], "late") == 0;
    bool untouched = count > 1 && strcmp(arguments[1], "untouched") == 0;
    void *old[OLD_BLOCKS];
    for (int i = 0; i < OLD_BLOCKS; i++) {
        old[i] = malloc((size_t)i + 1);
        fill(old[i], (size_t)i + 1, (uint64_t)i);
    }
    HMODULE module = LoadLibraryA("mimalloc.dll");
    CHECK(module && find(module), "mimalloc.dll cannot be loaded, or is none");
    CHECK(mimalloc.is_redirected() == !untouched, "mi_is_redirected() says the opposite");
    CHECK(!late || !mimalloc.is_in_heap_region(old[0]), "a block from before is mimalloc's already");
    if (!untouched) {
        check_family();
        for (int i = 0; i < 20; i++) {
            HANDLE thread = CreateThread(NULL, 0, allocate_and_end, NULL, 0, NULL);
            WaitForSingleObject(thread, INFINITE);
            CloseHandle(thread);
        }
    }
    for (int i = 0; i < OLD_BLOCKS; i++) {
        size_t size = (size_t)i + 1;
        if (i % 2 == 0) {
            old[i] = realloc(old[i], size + 5000);
            CHECK(untouched || mimalloc.is_in_heap_region(old[i]), "a reallocated block has not moved to mimalloc");
        }
        CHECK(intact(old[i], size, (uint64_t)i) == size, "block %d changed", i);
        free(old[i]);
    }
    return verdict();
}
