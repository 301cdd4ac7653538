// build: args -fno-builtin
/* The order of an early start: the static initialisers of DLLs run before the module comes, and all
 * code of the program's own after it: its TLS callbacks are the loader's, its initialisers and
 * `main` its own. Blocks of either time are freed later by the right heap. */

#include "support.h"
#include <stdlib.h>

enum { OLD = 200, BYTES = 300 };

static void *of_loader, *of_initialiser;
static bool initialised_on_mimalloc;

/* The loader calls this before the module comes, or after it: both are right. */
static void NTAPI call_of_loader(void *module, DWORD reason, void *reserved) {
    if (reason == DLL_PROCESS_ATTACH) {
        of_loader = malloc(BYTES);
        fill(of_loader, BYTES, 1);
    }
}

__attribute__((section(".CRT$XLC"), used)) static PIMAGE_TLS_CALLBACK callback = call_of_loader;

__attribute__((constructor)) static void initialise(void) {
    of_initialiser = malloc(BYTES);
    fill(of_initialiser, BYTES, 2);
    initialised_on_mimalloc = owned(of_initialiser);
}

static void check_from_before(const char *whose, void *block, uint64_t tag) {
    CHECK(intact(block, BYTES, tag) == BYTES, "the block of %s has changed", whose);
    block = realloc(block, BYTES * 100);
    CHECK(block && owned(block) && intact(block, BYTES, tag) == BYTES,
          "the block of %s did not move to mimalloc with its contents", whose);
    free(block);
}

int main(void) {
    look_for_module();
    CHECK(taken_over(), "the module had not taken over when main began");
    CHECK(initialised_on_mimalloc, "the program's initialisers ran before the module came");
    check_from_before("a TLS callback", of_loader, 1);
    check_from_before("an initialiser", of_initialiser, 2);
    void *blocks[OLD];
    for (int i = 0; i < OLD; i++) {
        blocks[i] = malloc((size_t)i * 7);
        CHECK(owned(blocks[i]), "block %d is not mimalloc's", i);
    }
    for (int i = 0; i < OLD; i++) {
        free(blocks[i]);
    }
    return verdict();
}
