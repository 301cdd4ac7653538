/* Drawing operation number i of a sequence. Part of conformance.c. */

/* The functions: constant, exported name, how often it is drawn, and what performs it. */
#define EACH_FUNCTION(X)                                                                           \
    X(MALLOC, "malloc", 12, perform_new_plain)                                                     \
    X(CALLOC, "calloc", 6, perform_new_plain)                                                      \
    X(REALLOC, "realloc", 16, perform_resize_plain)                                                \
    X(RECALLOC, "_recalloc", 8, perform_resize_plain)                                              \
    X(EXPAND, "_expand", 5, perform_expand)                                                        \
    X(MSIZE, "_msize", 5, perform_size)                                                            \
    X(FREE, "free", 10, perform_free)                                                              \
    X(ALIGNED_MALLOC, "_aligned_malloc", 8, perform_aligned)                                       \
    X(ALIGNED_REALLOC, "_aligned_realloc", 8, perform_aligned)                                     \
    X(ALIGNED_RECALLOC, "_aligned_recalloc", 6, perform_aligned)                                   \
    X(ALIGNED_MSIZE, "_aligned_msize", 3, perform_size)                                            \
    X(ALIGNED_FREE, "_aligned_free", 6, perform_free)                                              \
    X(OFFSET_MALLOC, "_aligned_offset_malloc", 6, perform_aligned)                                 \
    X(OFFSET_REALLOC, "_aligned_offset_realloc", 6, perform_aligned)                               \
    X(OFFSET_RECALLOC, "_aligned_offset_recalloc", 5, perform_aligned)                             \
    X(STRDUP, "_strdup", 2, perform_new_plain)                                                     \
    X(WCSDUP, "_wcsdup", 2, perform_new_plain)                                                     \
    X(MBSDUP, "_mbsdup", 2, perform_new_plain)                                                     \
    X(DUPENV, "_dupenv_s", 1, perform_environment)                                                 \
    X(WDUPENV, "_wdupenv_s", 1, perform_environment)                                               \
    X(PUTENV, "_putenv_s", 1, perform_environment)                                                 \
    X(NEW_MODE, "_set_new_mode", 1, perform_new_mode)

#define CONSTANT(constant, name, weight, perform) constant,
#define NAME(constant, name, weight, perform) name,
#define WEIGHT(constant, name, weight, perform) weight,
#define PERFORM(constant, name, weight, perform) perform,

enum function { EACH_FUNCTION(CONSTANT) FUNCTIONS };
static const char *const function_names[FUNCTIONS] = {EACH_FUNCTION(NAME)};
static const int weights[FUNCTIONS] = {EACH_FUNCTION(WEIGHT)};

enum { SLOTS = 256, VARIABLES = 8 };

/* Names of a function: public, `_base`, `_o_`, `_o_` of the `_base` name. */
enum { PUBLIC_NAME, BASE_NAME, O_NAME, O_BASE_NAME, NAMES };

struct operation {
    long number;
    enum function function;
    int name;
    int slot;
    bool null; /* NULL is given even if the slot holds a block */
    size_t size; /* bytes, or bytes of an element */
    size_t count; /* elements */
    size_t alignment;
    bool own_alignment; /* use the alignment and offset that the block has */
    size_t offset;
    bool tame; /* made valid by `tamed` */
    int retries; /* times that the new handler asks for another try */
    uint64_t extra;
};

static size_t draw_count(uint64_t *random) {
    static const size_t counts[] = {0, 1, 1, 1, 2, 3, 7, 10};
    /* Nothing between what a process can have and 2^47: whether that is to be had depends on the
     * system. */
    static const size_t beyond[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 5 * 3, MORE_THAN_CAN_BE_HAD,
                                    SIZE_MAX / 2 + 1};
    uint64_t draw = next_random(random), value = next_random(random);
    return draw % 32 == 0 ? PICK(value, beyond) : PICK(value, counts);
}

static size_t draw_alignment(uint64_t *random) {
    static const size_t good[] = {1, 2, 4, 8, 8, 16, 16, 16, 32, 64, 64, 128, 256, 512, 1024, 4096};
    static const size_t bad[] = {0, 3, 5, 6, 12, 24, 100, SIZE_MAX, SIZE_MAX - 1};
    static const size_t beyond[] = {MORE_THAN_CAN_BE_HAD, SIZE_MAX / 2 + 1, 0x10000};
    uint64_t draw = next_random(random), value = next_random(random);
    return draw % 8 == 0    ? PICK(value, bad)
           : draw % 64 == 1 ? PICK(value, beyond)
                            : PICK(value, good);
}

static size_t draw_offset(uint64_t *random, size_t size) {
    uint64_t draw = next_random(random), value = next_random(random);
    switch (draw % 12) {
    case 0:
        return size;
    case 1:
        return size - 1;
    case 2:
        return size + 1;
    case 3:
        return SIZE_MAX - (size_t)(value % 3);
    case 4:
    case 5:
        return 0;
    case 6:
        return (size_t)(value % 32);
    default:
        return size ? (size_t)(value % size) : 0;
    }
}

static enum function draw_function(uint64_t draw) {
    int total = 0;
    for (int i = 0; i < FUNCTIONS; i++) {
        total += weights[i];
    }
    int rest = (int)(draw % (uint64_t)total);
    int function = 0;
    while (rest >= weights[function]) {
        rest -= weights[function++];
    }
    return (enum function)function;
}

static bool of_environment(enum function function) {
    return function == DUPENV || function == WDUPENV || function == PUTENV;
}

static struct operation draw(uint64_t seed, long number, bool portable) {
    uint64_t random = random_of(seed, number);
    struct operation operation = {.number = number};
    operation.function = draw_function(next_random(&random) >> 8);
    if (portable && (of_environment(operation.function) || operation.function == NEW_MODE)) {
        operation.function = MALLOC;
    }
    uint64_t name = next_random(&random) >> 8;
    operation.name = name % 4 ? PUBLIC_NAME : (int)(name / 4 % NAMES);
    if (portable && operation.name > BASE_NAME) {
        operation.name = PUBLIC_NAME;
    }
    operation.slot = (int)((next_random(&random) >> 8) % SLOTS);
    operation.null = (next_random(&random) >> 8) % 40 == 0;
    operation.size = draw_size(&random);
    operation.count = draw_count(&random);
    operation.alignment = draw_alignment(&random);
    operation.own_alignment = (next_random(&random) >> 8) % 4 != 0;
    operation.offset = draw_offset(&random, operation.size);
    operation.retries = (int)((next_random(&random) >> 8) % 3);
    operation.extra = next_random(&random);
    return operation;
}

/* What a CRT that breaks the contract by itself can do: such a CRT is left to itself only with
 * arguments that are valid. */
static struct operation tamed(struct operation operation) {
    static const size_t alignments[] = {8, 16, 64, 256};
    if (operation.function == ALIGNED_RECALLOC || operation.function == OFFSET_RECALLOC) {
        operation.function = ALIGNED_MALLOC;
    }
    operation.null = false;
    operation.size = 1 + operation.size % 5000;
    operation.count = 1 + operation.count % 4;
    operation.alignment = PICK(operation.extra, alignments);
    operation.offset = 0;
    operation.tame = true;
    return operation;
}
