// build: args -fno-builtin
/* The CRT's own copies of environment variables: what is answered, and that the block can be freed.
 */

#include "support.h"
#include <errno.h>
#include <stdlib.h>
#include <wchar.h>

static int invalid_parameters;

INVALID_PARAMETER_HANDLER(count_invalid, invalid_parameters++)

/* Prints what `call` answers, which puts a block at `value`. */
#define PRINT(label, call, value, format, none)                                                    \
    do {                                                                                           \
        invalid_parameters = 0;                                                                    \
        errno = 77;                                                                                \
        int result = call, error = errno;                                                          \
        CHECK(!value || in_current_heap(value), "the value of %s is not in the current heap",      \
              label);                                                                              \
        say("%s: %d [" format "] size %zu errno %d invalid-parameter %d", label, result,           \
            value ? value : none, size, error, invalid_parameters);                                \
        free(value);                                                                               \
    } while (0)

static void narrow(const char *label, const char *name, bool with_size) {
    char *value = (char *)1;
    size_t size = 99;
    PRINT(label, _dupenv_s(&value, with_size ? &size : NULL, name), value, "%s", "NULL");
}

static void wide(const char *label, const wchar_t *name) {
    wchar_t *value = (wchar_t *)1;
    size_t size = 99;
    PRINT(label, _wdupenv_s(&value, &size, name), value, "%ls", L"NULL");
}

static void no_place_for_the_value(void) {
    size_t size = 99;
    errno = 77;
    invalid_parameters = 0;
    int result = _dupenv_s(NULL, &size, "PATH");
    say("narrow, no place: %d size %zu errno %d invalid-parameter %d", result, size, errno,
        invalid_parameters);
    errno = 77;
    result = _wdupenv_s(NULL, &size, NULL);
    say("wide, no place: %d size %zu errno %d invalid-parameter %d", result, size, errno,
        invalid_parameters);
}

int main(void) {
    _set_invalid_parameter_handler(count_invalid);
    _putenv_s("ALLOGRAFT_OLD", "set before");
    meet_harness();
    _putenv_s("ALLOGRAFT_NEW", "set after");
    SetEnvironmentVariableA("ALLOGRAFT_SYSTEM", "of the system");
    narrow("narrow, set before", "ALLOGRAFT_OLD", true);
    narrow("narrow, set after", "ALLOGRAFT_NEW", true);
    narrow("narrow, other case", "allograft_new", true);
    narrow("narrow, no size wanted", "ALLOGRAFT_NEW", false);
    narrow("narrow, of the system only", "ALLOGRAFT_SYSTEM", true);
    narrow("narrow, not set", "ALLOGRAFT_NOT_SET", true);
    narrow("narrow, empty name", "", true);
    narrow("narrow, NULL name", NULL, true);
    wide("wide, set before", L"ALLOGRAFT_OLD");
    wide("wide, set after", L"ALLOGRAFT_NEW");
    wide("wide, not set", L"ALLOGRAFT_NOT_SET");
    wide("wide, NULL name", NULL);
    no_place_for_the_value();
    _putenv_s("ALLOGRAFT_OLD", "changed, and longer than it was before");
    narrow("narrow, changed", "ALLOGRAFT_OLD", true);
    _putenv_s("ALLOGRAFT_OLD", "");
    narrow("narrow, removed", "ALLOGRAFT_OLD", true);
    return verdict();
}
