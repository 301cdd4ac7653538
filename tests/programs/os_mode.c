// build: args -fno-builtin
/* The `_o_` names of the CRT work on a second state beside that of the public names: an errno,
 * handlers, a new mode and an environment of their own. Prints what each call changes in which
 * state; the lines are the same with and without the takeover. */

#include "support.h"
#include <errno.h>
#include <new.h>
#include <stdlib.h>

static struct {
    int *(*error)(void);
    int invalid, handled;
} state[2];

INVALID_PARAMETER_HANDLER(public_invalid, state[0].invalid++)
INVALID_PARAMETER_HANDLER(private_invalid, state[1].invalid++)

static int public_new(size_t size) { return state[0].handled++, 0; }

static int private_new(size_t size) { return state[1].handled++, 0; }

static void before_call(void) {
    for (int i = 0; i < 2; i++) {
        *state[i].error() = 77;
        state[i].invalid = state[i].handled = 0;
    }
}

static void after_call(const char *call, long long result) {
    int errors[2] = {*state[0].error(), *state[1].error()};
    say("%s: %lld, errno %d / %d, invalid-parameter %d / %d, new-handler %d / %d", call, result,
        errors[0], errors[1], state[0].invalid, state[1].invalid, state[0].handled,
        state[1].handled);
}

#define TELL(call)                                                                                 \
    do {                                                                                           \
        before_call();                                                                             \
        long long result_ = (long long)(intptr_t)(call);                                           \
        after_call(#call, result_);                                                                \
    } while (0)

static void failing_calls(void) {
    static const size_t never = MORE_THAN_CAN_BE_HAD;
    void *(*o_malloc)(size_t) = crt_function("_o_malloc");
    void *(*o_malloc_base)(size_t) = crt_function("_o__malloc_base");
    void *(*malloc_base)(size_t) = crt_function("_malloc_base");
    void *(*o_calloc)(size_t, size_t) = crt_function("_o_calloc");
    void *(*o_realloc)(void *, size_t) = crt_function("_o_realloc");
    void *(*o_aligned)(size_t, size_t) = crt_function("_o__aligned_malloc");
    size_t (*o_msize)(void *) = crt_function("_o__msize");
    void *(*o_expand)(void *, size_t) = crt_function("_o__expand");
    TELL(malloc(never));
    TELL(malloc_base(never));
    TELL(o_malloc(never));
    TELL(o_malloc_base(never));
    TELL(malloc(SIZE_MAX));
    TELL(o_malloc(SIZE_MAX));
    TELL(o_calloc(1, never));
    TELL(o_calloc(SIZE_MAX, 2));
    TELL(o_realloc(NULL, never));
    TELL(o_aligned(never, 16));
    TELL(o_aligned(5, 3));
    TELL(_msize(NULL));
    TELL(o_msize(NULL));
    TELL(o_expand(NULL, 5));
}

static void environments(void) {
    int (*o_putenv)(const char *, const char *) = crt_function("_o__putenv_s");
    errno_t (*o_dupenv)(char **, size_t *, const char *) = crt_function("_o__dupenv_s");
    char *value = NULL;
    size_t size = 0;
    _putenv_s("ALLOGRAFT_PUBLIC", "set by _putenv_s");
    o_putenv("ALLOGRAFT_PRIVATE", "set by _o__putenv_s");
    static const char *const names[] = {"ALLOGRAFT_PUBLIC", "ALLOGRAFT_PRIVATE"};
    for (int i = 0; i < 2; i++) {
        TELL(_dupenv_s(&value, &size, names[i]));
        say("_dupenv_s of %s: %s, %zu", names[i], value ? value : "NULL", size);
        free(value);
        TELL(o_dupenv(&value, &size, names[i]));
        say("_o__dupenv_s of %s: %s, %zu", names[i], value ? value : "NULL", size);
        free(value);
    }
    TELL(o_dupenv(NULL, &size, "x"));
}

int main(void) {
    state[0].error = crt_function("_errno");
    state[1].error = crt_function("_o__errno");
    _invalid_parameter_handler (*o_set_invalid)(_invalid_parameter_handler) =
        crt_function("_o__set_invalid_parameter_handler");
    _PNH (*set_new)(_PNH) = crt_function("_set_new_handler");
    _PNH (*o_set_new)(_PNH) = crt_function("_o__set_new_handler");
    int (*set_mode)(int) = crt_function("_set_new_mode");
    int (*o_set_mode)(int) = crt_function("_o__set_new_mode");
    _set_invalid_parameter_handler(public_invalid);
    o_set_invalid(private_invalid);
    set_new(public_new);
    o_set_new(private_new);
    meet_harness();
    for (int mode = 0; mode < 4; mode++) {
        say("new mode %d / %d", mode & 1, mode >> 1);
        set_mode(mode & 1);
        o_set_mode(mode >> 1);
        failing_calls();
    }
    environments();
    return verdict();
}
