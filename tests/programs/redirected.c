// Loads an unmodified mimalloc.dll with a mimalloc-redirect.dll beside it while it has blocks of
// the old heap. As its first argument `late` says that those are to move to mimalloc, `untouched`
// that nothing is to be redirected, and `switched` that the redirection is to be switched off and
// on again. A second argument is the name of the DLL in place of mimalloc.dll.

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
    mimalloc.is_redirected = exported(module, "mi_is_redirected");
    mimalloc.is_in_heap_region = exported(module, "mi_is_in_heap_region");
    mimalloc.malloc = exported(module, "mi_malloc");
    mimalloc.free = exported(module, "mi_free");
    return mimalloc.is_redirected && mimalloc.is_in_heap_region && mimalloc.malloc && mimalloc.free;
}

/* Every function of the family, with the sizes and alignments that matter to it. */
static void check_family(void) {
    for (size_t size = 0; size < 300000; size = size * 3 + 1) {
        unsigned char *block = malloc(size);
        CHECK(mimalloc.is_in_heap_region(block), "malloc(%zu) is not mimalloc's", size);
        CHECK(aligned_to(block, BLOCK_ALIGNMENT), "malloc(%zu) lies at %p", size, (void *)block);
        CHECK(_msize(block) >= size, "_msize is too small for %zu", size);
        fill(block, size, 3);
        block = realloc(block, size * 2 + 10);
        CHECK(intact(block, size, 3) == size, "realloc changed a block of %zu bytes", size);
        free(block);
        unsigned char *zeroed = calloc(size + 1, 3);
        CHECK(mimalloc.is_in_heap_region(zeroed) && zeroed[0] == 0 && zeroed[size * 3] == 0,
              "calloc(%zu, 3)", size);
        free(zeroed);
        void *aligned = _aligned_malloc(size, 256);
        CHECK(mimalloc.is_in_heap_region(aligned) && aligned_to(aligned, 256),
              "_aligned_malloc(%zu, 256)", size);
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

/* One block of each function that makes them, and where all of them are to come from. */
static void check_new_blocks(bool from_mimalloc, const char *when) {
    struct {
        const char *function;
        void *block;
    } made[] = {{"malloc", malloc(100)},          {"calloc", calloc(10, 10)},
                {"realloc", realloc(NULL, 100)},  {"_recalloc", _recalloc(NULL, 10, 10)},
                {"malloc of nothing", malloc(0)}, {"a large malloc", malloc(3000000)},
                {"_strdup", _strdup("a text")}};
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        CHECK(made[i].block && mimalloc.is_in_heap_region(made[i].block) == from_mimalloc,
              "%s, %s: a block of the wrong heap", made[i].function, when);
        free(made[i].block);
    }
    void *aligned = _aligned_malloc(100, 256), *offset = _aligned_offset_malloc(100, 64, 8);
    CHECK(aligned_to(aligned, 256) && mimalloc.is_in_heap_region(aligned) == from_mimalloc,
          "_aligned_malloc, %s", when);
    CHECK(aligned_to((char *)offset + 8, 64) && mimalloc.is_in_heap_region(offset) == from_mimalloc,
          "_aligned_offset_malloc, %s", when);
    _aligned_free(aligned);
    _aligned_free(offset);
}

/* A block of mimalloc's and one of the runtime's are resized and freed, and end up in the heap that
 * serves. */
static void check_resizing(unsigned char *blocks[2], bool by_mimalloc) {
    for (int i = 0; i < 2; i++) {
        blocks[i] = realloc(blocks[i], 5000);
        CHECK(intact(blocks[i], 1000, (uint64_t)i) == 1000, "a resized block changed");
        CHECK(mimalloc.is_in_heap_region(blocks[i]) == by_mimalloc,
              "a resized block is in the wrong heap");
        free(blocks[i]);
    }
}

static void make_one(unsigned char *blocks[2], int index) {
    blocks[index] = malloc(1000);
    fill(blocks[index], 1000, (uint64_t)index);
}

static void check_switching(void) {
    HMODULE module =
        GetModuleHandleA(sizeof(void *) == 8 ? "mimalloc-redirect.dll" : "mimalloc-redirect32.dll");
    bool (*enable)(void) = exported(module, "mi_redirect_enable");
    bool (*disable)(void) = exported(module, "mi_redirect_disable");
    bool (*enable_term)(void) = exported(module, "mi_redirect_enable_term");
    CHECK(enable && disable && enable_term, "mimalloc-redirect.dll lacks a function");
    unsigned char *blocks[2];
    check_new_blocks(true, "before");
    make_one(blocks, 0);
    CHECK(disable(), "mi_redirect_disable() failed");
    check_new_blocks(false, "switched off");
    make_one(blocks, 1);
    check_resizing(blocks, false);
    make_one(blocks, 1);
    CHECK(enable(), "mi_redirect_enable() failed");
    check_new_blocks(true, "switched on");
    make_one(blocks, 0);
    check_resizing(blocks, true);
    CHECK(disable() && enable_term(), "mi_redirect_enable_term() failed");
    check_new_blocks(true, "switched on for the end");
}

static DWORD WINAPI allocate_and_end(void *unused) {
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
    const char *name = count > 2 ? arguments[2] : "mimalloc.dll";
    HMODULE module = LoadLibraryA(name);
    CHECK(module && find(module), "%s cannot be loaded, or is none", name);
    CHECK(mimalloc.is_redirected() == !untouched, "mi_is_redirected() says the opposite");
    CHECK(!late || !mimalloc.is_in_heap_region(old[0]),
          "a block from before is mimalloc's already");
    if (count > 1 && strcmp(arguments[1], "switched") == 0) {
        check_switching();
    }
    if (!untouched) {
        check_family();
        for (int i = 0; i < 20; i++) {
            run_thread(allocate_and_end, NULL);
        }
    }
    for (int i = 0; i < OLD_BLOCKS; i++) {
        size_t size = (size_t)i + 1;
        if (i % 2 == 0) {
            old[i] = realloc(old[i], size + 5000);
            CHECK(untouched || mimalloc.is_in_heap_region(old[i]),
                  "a reallocated block has not moved to mimalloc");
        }
        CHECK(intact(old[i], size, (uint64_t)i) == size, "block %d changed", i);
        free(old[i]);
    }
    return verdict();
}
