// build: args -fno-builtin
/* After the takeover, calls through the import tables of the program and of its DLLs, those that
 * are loaded later too, need no jump: the tables lead straight to mimalloc, and are protected as
 * before. Argument: `redirected`, or `untouched` where the module was told to leave them alone. */

#include "support.h"
#include "import_slot.h"
#include <malloc.h>
#include <stdlib.h>

/* Slots of this program's import address table. */
extern void *IMPORT(malloc), *IMPORT(free), *IMPORT(calloc);

static DWORD protection_of(const void *address) {
    MEMORY_BASIC_INFORMATION information;
    CHECK(VirtualQuery(address, &information, sizeof information), "nothing is known of %p",
          address);
    return information.Protect;
}

static void check_slot(const char *name, void *slot, bool redirected) {
    bool leads_away = slot != crt_function(name);
    CHECK(leads_away == redirected, "the import of %s %s", name,
          leads_away ? "was redirected" : "leads to the runtime");
}

static void check_module(const char *path, bool redirected) {
    HMODULE module = LoadLibraryA(path);
    CHECK(module, "%s cannot be loaded: error %lu", path, GetLastError());
    void *(*slot)(void) = exported(module, "imported_malloc");
    void *(*allocate)(size_t) = exported(module, "allocate");
    CHECK(slot && allocate, "%s lacks its functions", path);
    if (slot && allocate) {
        check_slot("malloc", slot(), redirected);
        void *block = allocate(100);
        CHECK(in_current_heap(block), "a block of the DLL's is not mimalloc's");
        free(block);
    }
}

/* A function that is found by its name alone changes what all imports lead to. */
static void check_tails(void) {
    void *(*recalloc)(void *, size_t, size_t) = crt_function("_recalloc");
    free(recalloc(NULL, 1, 1));
    for (int i = 0; i < 1000; i++) {
        unsigned char *block = malloc(33);
        memset(block, 0xAA, _msize(block));
        free(block);
        block = malloc(33);
        block = recalloc(block, 1, 47);
        for (int at = 33; at < 47; at++) {
            CHECK(block[at] == 0, "byte %d of what was added is %02x", at, block[at]);
        }
        free(block);
    }
}

int main(int count, char **arguments) {
    bool redirected = count > 1 && !strcmp(arguments[1], "redirected");
    DWORD before = protection_of(&IMPORT(malloc));
    meet_harness();
    CHECK(taken_over(), "the module has not taken over");
    check_slot("malloc", IMPORT(malloc), redirected);
    check_slot("free", IMPORT(free), redirected);
    check_slot("calloc", IMPORT(calloc), redirected);
    CHECK(protection_of(&IMPORT(malloc)) == before,
          "the import table has the protection %lx instead of %lx", protection_of(&IMPORT(malloc)),
          before);
    void *through_table = malloc(10);
    void *(*malloc_by_name)(size_t) = crt_function("malloc");
    void (*free_by_name)(void *) = crt_function("free");
    void *by_name = malloc_by_name(10);
    CHECK(owned(through_table) && owned(by_name), "a block is not mimalloc's");
    free(by_name);
    free_by_name(through_table);
    check_module("import_tables_dll.dll", redirected);
    check_tails();
    return verdict();
}
