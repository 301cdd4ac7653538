// build: args -fno-builtin
/* Runs until the module has taken over, however late it comes, and uses blocks from before and
 * after. */

#include "support.h"
#include <stdlib.h>

int main(void) {
    enum { COUNT = 200 };
    char *old[COUNT];
    for (int i = 0; i < COUNT; i++) {
        old[i] = malloc(100 + (size_t)i);
        fill(old[i], 100 + (size_t)i, (uint64_t)i);
    }
    CHECK(!taken_over(), "the module was there from the start");
    for (int waited = 0; !taken_over() && waited < 30000; waited += 10) {
        Sleep(10);
        look_for_module();
    }
    CHECK(taken_over(), "the module did not come within 30 s");
    for (int i = 0; i < COUNT; i++) {
        char *moved = realloc(old[i], 1000);
        CHECK(owned(moved), "block %d is not mimalloc's after a reallocation", i);
        CHECK(intact(moved, 100 + (size_t)i, (uint64_t)i) == 100 + (size_t)i, "block %d changed",
              i);
        free(moved);
    }
    return verdict();
}
