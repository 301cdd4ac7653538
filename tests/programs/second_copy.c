// build: args -fno-builtin
/* Loads a copy of the module under another name: it leaves the process as it is, and answers as the
 * first one does. Argument: the path of the copy. */

#include "support.h"
#include "allograft.h"
#include <stdlib.h>

int main(int count, char **arguments) {
    meet_harness();
    CHECK(count == 2 && taken_over(), "the module has not taken over");
    HMODULE copy = LoadLibraryA(arguments[1]);
    CHECK(copy != NULL && copy != GetModuleHandleA(MODULE_NAME),
          "the copy was not loaded: error %lu", GetLastError());
    if (!copy) {
        return verdict();
    }
    int (*active)(void) = exported(copy, "allograft_active");
    int (*owns)(const void *) = exported(copy, "allograft_owns");
    int (*counters_of)(allograft_counters_t *) = exported(copy, "allograft_counters");
    const char *(*error)(void) = exported(copy, "allograft_error");
    CHECK(active && owns && counters_of && error, "the copy lacks its interface");

    int on_stack = 0;
    void *block = malloc(100);
    allograft_counters_t counters = {.size = sizeof counters};
    CHECK(owned(block), "a block is not the first copy's");
    CHECK(active() == 1, "the copy says that nothing is taken over");
    CHECK(owns(block) == 1, "the copy does not know the first one's block");
    CHECK(owns(&on_stack) == 0, "the copy takes a variable for a block");
    CHECK(error()[0] == 0, "the copy tells of an error: %s", error());
    CHECK(counters_of(&counters) == 1 && counters.size == sizeof counters,
          "the copy does not tell the counters");
    CHECK(counters.used_bytes > 0 && counters.used_bytes <= counters.committed_bytes,
          "%llu bytes are in use of %llu", (unsigned long long)counters.used_bytes,
          (unsigned long long)counters.committed_bytes);
    free(block);
    FreeLibrary(copy);
    CHECK(taken_over(), "freeing the copy undid the takeover");
    return verdict();
}
