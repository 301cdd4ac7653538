/* The CRT's functions under all their names, the states that they change, and the transcript. Part
 * of conformance.c. */

typedef void *(*one_size_fn)(size_t);
typedef void *(*two_sizes_fn)(size_t, size_t);
typedef void *(*three_sizes_fn)(size_t, size_t, size_t);
typedef void *(*block_size_fn)(void *, size_t);
typedef void *(*block_two_sizes_fn)(void *, size_t, size_t);
typedef void *(*block_three_sizes_fn)(void *, size_t, size_t, size_t);
typedef void *(*block_four_sizes_fn)(void *, size_t, size_t, size_t, size_t);
typedef void *(*copy_fn)(const void *);
typedef void (*block_fn)(void *);
typedef size_t (*size_fn)(void *);
typedef size_t (*aligned_size_fn)(void *, size_t, size_t);
typedef int (*narrow_environment_fn)(char **, size_t *, const char *);
typedef int (*wide_environment_fn)(wchar_t **, size_t *, const wchar_t *);
typedef int (*put_environment_fn)(const char *, const char *);

/* The addresses of each function's names. A name that the CRT lacks stands for the public one, of
 * the same state. */
static void *addresses[FUNCTIONS][NAMES];

/* The two states of a CRT: that of the public and `_base` names, and that of the `_o_` names. */
static struct {
    int *(*error)(void);
    int invalid, handled, retries;
    size_t handled_size;
} states[2];

static bool two_states;

static int new_in(int state, size_t size) {
    states[state].handled++;
    states[state].handled_size = size;
    return states[state].retries-- > 0;
}

INVALID_PARAMETER_HANDLER(public_invalid, states[0].invalid++)
INVALID_PARAMETER_HANDLER(private_invalid, states[1].invalid++)

static int public_new(size_t size) { return new_in(0, size); }

static int private_new(size_t size) { return new_in(1, size); }

static HMODULE runtime;

/* A function of the runtime that is tested: the Universal CRT, or the one that the variable
 * ALLOGRAFT_TEST_RUNTIME names. */
static void *runtime_function(const char *name) {
    static char file[64] = "ucrtbase.dll";
    if (!runtime) {
        GetEnvironmentVariableA("ALLOGRAFT_TEST_RUNTIME", file, sizeof file);
        runtime = LoadLibraryA(file);
    }
    return exported(runtime, name);
}

static void *named(const char *prefix, const char *name, const char *suffix) {
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s%s", prefix, name, suffix);
    return runtime_function(whole);
}

static void resolve(enum function function, bool portable) {
    const char *name = function_names[function];
    bool underscore = name[0] == '_';
    void **of = addresses[function];
    of[PUBLIC_NAME] = runtime_function(name);
    of[BASE_NAME] = named(underscore ? "" : "_", name, "_base");
    of[O_NAME] = portable ? NULL : named("_o_", name, "");
    of[O_BASE_NAME] = portable ? NULL : named(underscore ? "_o_" : "_o__", name, "_base");
    for (int i = BASE_NAME; i < NAMES; i++) {
        of[i] = of[i] ? of[i] : of[PUBLIC_NAME];
    }
}

static void prepare_state(int state, const char *prefix, _invalid_parameter_handler invalid,
                          _PNH handler) {
    _invalid_parameter_handler (*set_invalid)(_invalid_parameter_handler) =
        named(prefix, "_set_invalid_parameter_handler", "");
    _PNH (*set_new)(_PNH) = named(prefix, "_set_new_handler", "");
    states[state].error = named(prefix, "_errno", "");
    /* The oldest runtimes have no handlers, or export them as C++ functions. */
    if (set_invalid) {
        set_invalid(invalid);
    }
    if (set_new) {
        set_new(handler);
    }
}

static void prepare(bool portable) {
    for (int i = 0; i < FUNCTIONS; i++) {
        resolve((enum function)i, portable);
    }
    two_states = !portable;
    prepare_state(0, "", public_invalid, public_new);
    if (two_states) {
        prepare_state(1, "_o_", private_invalid, private_new);
    }
}

static void *function_of(const struct operation *operation) {
    return addresses[operation->function][operation->name];
}

enum { UNTOUCHED = 77 };

static int current_retries;

static void before_call(void) {
    for (int i = 0; i <= two_states; i++) {
        *states[i].error() = UNTOUCHED;
        states[i].invalid = states[i].handled = 0;
        states[i].handled_size = 0;
        states[i].retries = current_retries;
    }
}

/* What the call changed in either state. Taken right after it, before anything else can change it.
 */
struct effects {
    char text[160];
    int error;
};

static struct effects after_call(void) {
    struct effects effects = {"", *states[0].error()};
    int errors[2] = {effects.error, two_states ? *states[1].error() : UNTOUCHED};
    char *end = effects.text;
    for (int i = 0; i < 2; i++) {
        const char *which = i ? " o:" : "";
        if (errors[i] != UNTOUCHED) {
            effects.error = errors[i];
            end += sprintf(end, "%s errno %d", which, errors[i]);
        }
        if (states[i].invalid) {
            end += sprintf(end, "%s invalid %d", which, states[i].invalid);
        }
        if (states[i].handled) {
            end += sprintf(end, "%s new-handler %d of %zx", which, states[i].handled,
                           states[i].handled_size);
        }
    }
    return effects;
}
