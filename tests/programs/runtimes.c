// build: args -fno-builtin
/* A process that holds every C runtime there is: each is taken over by itself, with blocks of its
 * own from before, with its own `errno`, and with its `operator new` and `operator delete`. One
 * comes and goes while the module is there. */

#include "support.h"

static const char *const names[] = {"msvcrt.dll",   "msvcr80.dll",  "msvcr90.dll",
                                    "msvcr100.dll", "msvcr110.dll", "msvcr120.dll"};

enum { RUNTIMES = COUNT_OF(names), BLOCKS = 100, ENOMEM_ = 12, SMALLEST = 40 };

struct runtime {
    const char *name;
    HMODULE module;
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    size_t (*msize)(void *);
    void *(*aligned_malloc)(size_t, size_t);
    void (*aligned_free)(void *);
    char *(*strdup)(const char *);
    void *(*new)(size_t);
    void (*delete)(void *);
    int *(*error)(void);
    void *plain[BLOCKS], *aligned[BLOCKS], *created[BLOCKS];
};

static struct runtime runtimes[RUNTIMES];

static bool load(struct runtime *runtime, const char *name) {
    HMODULE module = LoadLibraryA(name);
    *runtime = (struct runtime){
        .name = name,
        .module = module,
        .malloc = exported(module, "malloc"),
        .calloc = exported(module, "calloc"),
        .realloc = exported(module, "realloc"),
        .free = exported(module, "free"),
        .msize = exported(module, "_msize"),
        .aligned_malloc = exported(module, "_aligned_malloc"),
        .aligned_free = exported(module, "_aligned_free"),
        .strdup = exported(module, "_strdup"),
        .new = exported(module, sizeof(void *) == 8 ? "??2@YAPEAX_K@Z" : "??2@YAPAXI@Z"),
        .delete = exported(module, sizeof(void *) == 8 ? "??3@YAXPEAX@Z" : "??3@YAXPAX@Z"),
        .error = exported(module, "_errno"),
    };
    return module != NULL;
}

#define EXPECT(condition, what) CHECK(condition, "%s: %s", runtime->name, what)

static void allocate_before(struct runtime *runtime, uint64_t tag) {
    for (int i = 0; i < BLOCKS; i++) {
        runtime->plain[i] = runtime->malloc(SMALLEST + i);
        fill(runtime->plain[i], SMALLEST + i, tag + i);
        runtime->aligned[i] = runtime->aligned_malloc(SMALLEST + i, 64);
        fill(runtime->aligned[i], SMALLEST + i, tag + i);
        runtime->created[i] = runtime->new(SMALLEST + i);
        fill(runtime->created[i], SMALLEST + i, tag + i);
    }
}

static void use_blocks_from_before(struct runtime *runtime, uint64_t tag) {
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = SMALLEST + i;
        EXPECT(runtime->msize(runtime->plain[i]) >= size, "_msize of an old block");
        void *grown = runtime->realloc(runtime->plain[i], size * 3);
        EXPECT(grown && in_current_heap(grown), "a resized block is mimalloc's");
        EXPECT(grown && intact(grown, size, tag + i) == size, "a resized block is intact");
        runtime->free(grown);
        EXPECT(intact(runtime->aligned[i], size, tag + i) == size, "an aligned block is intact");
        runtime->aligned_free(runtime->aligned[i]);
        EXPECT(intact(runtime->created[i], size, tag + i) == size, "a new block is intact");
        runtime->delete(runtime->created[i]);
    }
}

static void use_new_blocks(struct runtime *runtime) {
    void *block = runtime->malloc(100);
    EXPECT(block && in_current_heap(block), "malloc");
    runtime->delete(block);
    block = runtime->new(100);
    EXPECT(block, "operator new");
    runtime->free(block);
    block = runtime->calloc(7, 9);
    EXPECT(block && in_current_heap(block), "calloc");
    block = runtime->realloc(block, 5000);
    EXPECT(block && in_current_heap(block), "realloc");
    runtime->free(block);
    block = runtime->aligned_malloc(100, 256);
    EXPECT(block && aligned_to(block, 256) && in_current_heap(block), "_aligned_malloc");
    runtime->aligned_free(block);
    char *text = runtime->strdup("a text");
    EXPECT(text && !strcmp(text, "a text") && in_current_heap(text), "_strdup");
    runtime->free(text);
    *runtime->error() = 77;
    runtime->free(runtime->malloc(3));
    EXPECT(*runtime->error() == 77, "errno is left alone");
    EXPECT(!runtime->malloc(SIZE_MAX) && *runtime->error() == ENOMEM_, "errno is set");
}

/* Loads a runtime after the module came, uses it, unloads it, and does so again. */
static void come_and_go(const char *name) {
    for (int round = 0; round < 3; round++) {
        struct runtime *runtime = &runtimes[0];
        if (!load(runtime, name)) {
            return;
        }
        use_new_blocks(runtime);
        FreeLibrary(runtime->module);
    }
}

int main(void) {
    /* The last one is left for later. */
    for (int i = 0; i < RUNTIMES - 1; i++) {
        if (load(&runtimes[i], names[i])) {
            allocate_before(&runtimes[i], (uint64_t)i * 1000);
        }
    }
    meet_harness();
    for (int i = 0; i < RUNTIMES - 1; i++) {
        if (runtimes[i].module) {
            say("%s", runtimes[i].name);
            use_blocks_from_before(&runtimes[i], (uint64_t)i * 1000);
            use_new_blocks(&runtimes[i]);
        }
    }
    come_and_go(names[RUNTIMES - 1]);
    return verdict();
}
