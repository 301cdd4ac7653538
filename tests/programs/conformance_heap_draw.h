/* Drawing operation number i of a sequence. Part of conformance_heap.c. */

/* The functions: constant, name in the transcript, how often it is drawn, and what performs it. */
#define EACH_FUNCTION(X)                                                                           \
    X(ALLOC, "Alloc", 60, perform_alloc)                                                           \
    X(REALLOC, "ReAlloc", 50, perform_realloc)                                                     \
    X(FREE, "Free", 30, perform_free)                                                              \
    X(BLOCK_SIZE, "Size", 24, perform_size)                                                        \
    X(VALIDATE, "Validate", 6, perform_validate)                                                   \
    X(LOCAL_ALLOC, "LocalAlloc", 4, perform_other_alloc)                                           \
    X(GLOBAL_ALLOC, "GlobalAlloc", 4, perform_other_alloc)                                         \
    X(TASK_ALLOC, "CoTaskMemAlloc", 4, perform_other_alloc)                                        \
    X(LOCAL_REALLOC, "LocalReAlloc", 4, perform_other_realloc)                                     \
    X(GLOBAL_REALLOC, "GlobalReAlloc", 4, perform_other_realloc)                                   \
    X(TASK_REALLOC, "CoTaskMemRealloc", 4, perform_other_realloc)                                  \
    X(LOCAL_FREE, "LocalFree", 4, perform_other_free)                                              \
    X(GLOBAL_FREE, "GlobalFree", 4, perform_other_free)                                            \
    X(TASK_FREE, "CoTaskMemFree", 4, perform_other_free)                                           \
    X(FREE_ENVIRONMENT, "FreeEnvironmentStringsW", 2, perform_other_free)                          \
    X(FREE_UNICODE, "RtlFreeUnicodeString", 2, perform_string_free)                                \
    X(FREE_ANSI, "RtlFreeAnsiString", 2, perform_string_free)                                      \
    X(FREE_OEM, "RtlFreeOemString", 2, perform_string_free)                                        \
    X(FREE_SID, "FreeSid", 2, perform_other_free)                                                  \
    X(DESTROY_ENVIRONMENT, "RtlDestroyEnvironment", 2, perform_other_free)                         \
    X(LOCAL_SIZE, "LocalSize", 2, perform_question)                                                \
    X(GLOBAL_SIZE, "GlobalSize", 2, perform_question)                                              \
    X(LOCAL_FLAGS, "LocalFlags", 2, perform_question)                                              \
    X(GLOBAL_FLAGS, "GlobalFlags", 2, perform_question)                                            \
    X(LOCAL_HANDLE, "LocalHandle", 2, perform_question)                                            \
    X(GLOBAL_HANDLE, "GlobalHandle", 2, perform_question)                                          \
    X(USER_INFO, "RtlGetUserInfoHeap", 2, perform_question)                                        \
    X(WRONG_HEAP, "another heap's handle", 4, perform_wrong_heap)                                  \
    X(TWICE, "a freed block", 2, perform_twice)

#define CONSTANT(constant, name, weight, perform) constant,
#define NAME(constant, name, weight, perform) name,
#define WEIGHT(constant, name, weight, perform) weight,
#define PERFORM(constant, name, weight, perform) perform,

enum function { EACH_FUNCTION(CONSTANT) FUNCTIONS };
static const char *const function_names[FUNCTIONS] = {EACH_FUNCTION(NAME)};
static const int weights[FUNCTIONS] = {EACH_FUNCTION(WEIGHT)};

enum { SLOTS = 256 };

/* Larger sizes are beyond what a process can have. */
#define LARGEST_DRAWN 0x100000

/* A block of this size may have pages of its own. */
#define SMALLEST_OF_PAGES 0x70000

/* The heaps: the process's, and those that the program makes. The last two are no heaps. */
enum { PROCESS, PRIVATE, BOUNDED, EXECUTABLE, HEAPS, NO_HEAP = HEAPS, ZEROES, HANDLES };
static const char *const heap_names[HANDLES] = {"process",    "private", "bounded",
                                                "executable", "NULL",    "zeroes"};

/* The ways to call a function: by the import table as kernel32's and as ntdll's, and at an address
 * that GetProcAddress has answered for kernel32, kernelbase and ntdll. */
enum { IMPORT, RTL_IMPORT, LOOKED_UP, BASE_LOOKED_UP, RTL_LOOKED_UP, ROUTES };
static const char *const route_names[ROUTES] = {"imported Heap", "imported Rtl", "Heap",
                                                "kernelbase Heap", "Rtl"};

struct operation {
    long number;
    enum function function;
    int route;
    int slot;
    int heap;
    DWORD flags;
    bool null; /* NULL is given even if the slot holds a block */
    size_t size;
    uint64_t extra;
};

/* Flags that HeapAlloc and HeapReAlloc document, one by one and combined, and a few others. */
static DWORD draw_flags(uint64_t *random) {
    static const size_t single[] = {HEAP_NO_SERIALIZE, HEAP_GENERATE_EXCEPTIONS, HEAP_ZERO_MEMORY,
                                    HEAP_REALLOC_IN_PLACE_ONLY};
    static const size_t other[] = {HEAP_CREATE_ALIGN_16,
                                   HEAP_TAIL_CHECKING_ENABLED,
                                   HEAP_FREE_CHECKING_ENABLED,
                                   HEAP_DISABLE_COALESCE_ON_FREE,
                                   0x200,
                                   0x400 | HEAP_ZERO_MEMORY,
                                   0xE00,
                                   0x50000,
                                   HEAP_GROWABLE};
    uint64_t draw = next_random(random) >> 8, value = next_random(random) >> 8;
    return draw % 64 == 0   ? (DWORD)PICK(value, other)
           : draw % 64 < 20 ? (DWORD)PICK(value, single)
           : draw % 64 < 32 ? (DWORD)(value % 8 << 2 | value / 8 % 2)
                            : 0;
}

static int draw_heap(uint64_t *random) {
    static const size_t rare[] = {PRIVATE, PRIVATE,    PRIVATE, BOUNDED,
                                  BOUNDED, EXECUTABLE, NO_HEAP, ZEROES};
    uint64_t draw = next_random(random) >> 8, value = next_random(random) >> 8;
    return draw % 16 < 3 ? (int)PICK(value, rare) : PROCESS;
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

static struct operation draw(uint64_t seed, long number) {
    uint64_t random = random_of(seed, number);
    struct operation operation = {.number = number};
    operation.function = draw_function(next_random(&random) >> 8);
    uint64_t route = next_random(&random) >> 8;
    operation.route = route % 2 ? IMPORT : (int)(route / 2 % ROUTES);
    operation.slot = (int)((next_random(&random) >> 8) % SLOTS);
    operation.heap = draw_heap(&random);
    operation.flags = draw_flags(&random);
    if (operation.function > REALLOC) {
        operation.flags &= HEAP_NO_SERIALIZE | HEAP_GENERATE_EXCEPTIONS | HEAP_ZERO_MEMORY;
    }
    operation.null = (next_random(&random) >> 8) % 40 == 0;
    operation.size = draw_size(&random);
    operation.extra = next_random(&random);
    return operation;
}
