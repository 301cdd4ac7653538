// build: args -fno-builtin
/* Tables that the CRT keeps for itself and grows with its own inner functions, which call one
 * another directly: the environment and the exit functions. Each grows through many sizes, with
 * blocks from before the takeover and from after it. */

#include "support.h"
#include <stdlib.h>

enum {
    VARIABLES_BEFORE = 100,
    VARIABLES = 1500,
    EXIT_FUNCTIONS_BEFORE = 100,
    EXIT_FUNCTIONS = 5000
};

static int exit_functions_run;

static void at_exit(void) { exit_functions_run++; }

static void report_at_exit(void) {
    if (exit_functions_run != EXIT_FUNCTIONS) {
        say("FAILED: %d of %d exit functions were run", exit_functions_run, EXIT_FUNCTIONS);
        _exit(1);
    }
}

static void name_of(int index, char name[32]) { snprintf(name, 32, "ALLOGRAFT_TABLE_%d", index); }

static void set_variables(int from, int to) {
    char name[32];
    for (int i = from; i < to; i++) {
        name_of(i, name);
        CHECK(_putenv_s(name, name) == 0, "variable %d could not be set", i);
    }
}

static void check_variables(int count) {
    char name[32];
    for (int i = 0; i < count; i++) {
        name_of(i, name);
        const char *value = getenv(name);
        CHECK(value && strcmp(value, name) == 0, "variable %d is lost", i);
    }
    name_of(count, name);
    CHECK(getenv(name) == NULL, "a variable is there that was never set");
}

static void register_exit_functions(int from, int to) {
    for (int i = from; i < to; i++) {
        CHECK(atexit(at_exit) == 0, "exit function %d could not be registered", i);
    }
}

int main(void) {
    atexit(report_at_exit);
    set_variables(0, VARIABLES_BEFORE);
    register_exit_functions(0, EXIT_FUNCTIONS_BEFORE);
    meet_harness();
    register_exit_functions(EXIT_FUNCTIONS_BEFORE, EXIT_FUNCTIONS);
    set_variables(VARIABLES_BEFORE, VARIABLES);
    check_variables(VARIABLES);
    for (int i = 0; i < VARIABLES; i += 2) {
        char name[32];
        name_of(i, name);
        CHECK(_putenv_s(name, "") == 0 && !getenv(name), "variable %d could not be removed", i);
    }
    return verdict();
}
