// build: args -fno-builtin
/* Every function of the heap by every name under which the CRT exports it: its blocks come from
 * mimalloc once the module has taken over, and any name may free or resize what another name made.
 * Prints each name that this CRT exports. */

#include "support.h"
#include <stdlib.h>
#include <wchar.h>

enum { BYTES = 100, ALIGNMENT = 64, OFFSET = 24, MORE = 40000 };

static bool wine_lacks_aligned_recalloc;

/* The function that the CRT exports under this name; prints the name if there is one. */
static void *find(const char *name) {
    void *function = crt_function(name);
    if (function) {
        say("exported %s", name);
    }
    return function;
}

/* Runs what follows for each of the names under which this CRT exports `function`. */
#define FOR_EACH_NAME(function, ...)                                                               \
    for (const char *const *names = (const char *const[]){__VA_ARGS__, NULL}, *name;               \
         (name = *names); names++)                                                                 \
        if ((function = find(name)))

static void check_heap(const char *name, const void *block) {
    CHECK(block != NULL, "%s returned NULL", name);
    CHECK(in_current_heap(block), "%s returned a block that is not mimalloc's", name);
}

static void check_block(const char *name, void *block) {
    check_heap(name, block);
    fill(block, BYTES, 1);
}

static void check_moved(const char *name, void *block) {
    check_heap(name, block);
    CHECK(intact(block, BYTES, 1) == BYTES, "%s lost the contents", name);
}

/* As `check_moved`, for an array that has grown to `MORE` bytes. */
static void check_grown(const char *name, char *block) {
    check_moved(name, block);
    CHECK(block[MORE - 1] == 0, "%s did not zero what it added", name);
}

static void allocators(void) {
    void *(*allocate)(size_t);
    FOR_EACH_NAME(allocate, "malloc", "_malloc_base", "_o_malloc", "_o__malloc_base") {
        void *block = allocate(BYTES);
        check_block(name, block);
        free(block);
    }
    void *(*allocate_array)(size_t, size_t);
    FOR_EACH_NAME(allocate_array, "calloc", "_calloc_base", "_o_calloc", "_o__calloc_base") {
        void *block = allocate_array(BYTES, 2);
        check_block(name, block);
        free(block);
    }
}

static void resizers(void) {
    void *(*resize)(void *, size_t);
    FOR_EACH_NAME(resize, "realloc", "_realloc_base", "_o_realloc", "_o__realloc_base") {
        void *block = resize(NULL, BYTES);
        check_block(name, block);
        block = resize(block, MORE);
        check_moved(name, block);
        free(block);
    }
    void *(*resize_array)(void *, size_t, size_t);
    FOR_EACH_NAME(resize_array, "_recalloc", "_recalloc_base", "_o__recalloc",
                  "_o__recalloc_base") {
        void *block = resize_array(NULL, BYTES, 1);
        check_block(name, block);
        block = resize_array(block, MORE, 1);
        check_grown(name, block);
        free(block);
    }
    void *(*expand)(void *, size_t);
    FOR_EACH_NAME(expand, "_expand", "_expand_base", "_o__expand") {
        void *block = malloc(BYTES);
        CHECK(expand(block, BYTES / 2) == block, "%s did not shrink in place", name);
        free(block);
    }
}

static void releasers_and_sizes(void) {
    void (*release)(void *);
    FOR_EACH_NAME(release, "free", "_free_base", "_o_free", "_o__free_base") {
        for (int round = 0; round < 1000; round++) {
            void *block = malloc(BYTES);
            check_block("malloc", block);
            release(block);
        }
    }
    size_t (*size)(void *);
    FOR_EACH_NAME(size, "_msize", "_msize_base", "_o__msize") {
        void *block = malloc(BYTES);
        CHECK(size(block) >= BYTES, "%s answered less than was asked for", name);
        free(block);
    }
}

/* The public name of a function, or the `_o_` one. */
#define PREFIXED(private, name) (private ? "_o_" name : name)

static void aligned(bool private) {
    const char *name = PREFIXED(private, "_aligned_malloc");
    const char *resize_name = PREFIXED(private, "_aligned_realloc");
    const char *array_name = PREFIXED(private, "_aligned_recalloc");
    void *(*allocate)(size_t, size_t) = find(name);
    void *(*resize)(void *, size_t, size_t) = find(resize_name);
    void *(*resize_array)(void *, size_t, size_t, size_t) = find(array_name);
    size_t (*size)(void *, size_t, size_t) = find(PREFIXED(private, "_aligned_msize"));
    void (*release)(void *) = find(PREFIXED(private, "_aligned_free"));
    void *block = allocate(BYTES, ALIGNMENT);
    check_block(name, block);
    block = resize(block, BYTES * 2, ALIGNMENT);
    check_moved(resize_name, block);
    CHECK(size(block, ALIGNMENT, 0) >= BYTES * 2, "%s answered less than was asked for",
          PREFIXED(private, "_aligned_msize"));
    if (!wine_lacks_aligned_recalloc) {
        block = resize_array(block, MORE, 1, ALIGNMENT);
        check_grown(array_name, block);
    }
    CHECK(aligned_to(block, ALIGNMENT), "%s returned a badly aligned block", resize_name);
    release(block);
}

static void offset_aligned(bool private) {
    const char *name = PREFIXED(private, "_aligned_offset_malloc");
    const char *resize_name = PREFIXED(private, "_aligned_offset_realloc");
    const char *array_name = PREFIXED(private, "_aligned_offset_recalloc");
    void *(*allocate)(size_t, size_t, size_t) = find(name);
    void *(*resize)(void *, size_t, size_t, size_t) = find(resize_name);
    void *(*resize_array)(void *, size_t, size_t, size_t, size_t) = find(array_name);
    char *block = allocate(BYTES, ALIGNMENT, OFFSET);
    check_block(name, block);
    block = resize(block, BYTES * 2, ALIGNMENT, OFFSET);
    check_moved(resize_name, block);
    if (!wine_lacks_aligned_recalloc) {
        block = resize_array(block, MORE, 1, ALIGNMENT, OFFSET);
        check_grown(array_name, block);
    }
    CHECK(aligned_to(block + OFFSET, ALIGNMENT), "%s returned a badly aligned block", resize_name);
    _aligned_free(block);
}

static void texts(void) {
    char *(*copy)(const char *);
    FOR_EACH_NAME(copy, "_strdup", "_mbsdup", "_strdup_base", "_o__strdup", "_o__mbsdup") {
        char *text = copy("some text");
        CHECK(strcmp(text, "some text") == 0, "%s returned another text", name);
        check_heap(name, text);
        free(text);
    }
    wchar_t *(*copy_wide)(const wchar_t *);
    FOR_EACH_NAME(copy_wide, "_wcsdup", "_wcsdup_base", "_o__wcsdup") {
        wchar_t *text = copy_wide(L"some text");
        CHECK(wcscmp(text, L"some text") == 0, "%s returned another text", name);
        check_heap(name, text);
        free(text);
    }
}

/* The `_o_` names have an environment of their own. */
static void environment(bool private) {
    const char *name = PREFIXED(private, "_dupenv_s"), *wide = PREFIXED(private, "_wdupenv_s");
    int (*set)(const char *, const char *) = crt_function(PREFIXED(private, "_putenv_s"));
    CHECK(set && set("ALLOGRAFT_FAMILY", "value") == 0, "%s failed",
          PREFIXED(private, "_putenv_s"));
    int (*copy)(char **, size_t *, const char *) = find(name);
    char *value = NULL;
    size_t size = 0;
    CHECK(copy && copy(&value, &size, "ALLOGRAFT_FAMILY") == 0, "%s failed", name);
    CHECK(value && strcmp(value, "value") == 0 && size == 6, "%s returned another value", name);
    check_heap(name, value);
    free(value);
    int (*copy_wide)(wchar_t **, size_t *, const wchar_t *) = find(wide);
    wchar_t *wide_value = NULL;
    CHECK(copy_wide && copy_wide(&wide_value, &size, L"ALLOGRAFT_FAMILY") == 0, "%s failed", wide);
    CHECK(wide_value && wcscmp(wide_value, L"value") == 0 && size == 6, "%s returned another value",
          wide);
    check_heap(wide, wide_value);
    free(wide_value);
}

int main(void) {
    meet_harness();
    /* Wine's own CRT has these two by name only, and ends the program when they are called. */
    wine_lacks_aligned_recalloc = !taken_over() && on_wine_crt();
    allocators();
    resizers();
    releasers_and_sizes();
    for (int private = 0; private < 2; private++) {
        aligned(private);
        offset_aligned(private);
        environment(private);
    }
    texts();
    return verdict();
}
