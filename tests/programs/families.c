// build: args -fno-builtin
/* Every function of the heap by every name under which the CRT exports it: its blocks come from
 * mimalloc once the module has taken over, and any name may free or resize what another name made.
 * Prints each name that this CRT exports. */

#include "support.h"
#include <stdlib.h>
#include <wchar.h>

typedef void *(*allocate_fn)(size_t);
typedef void *(*allocate_array_fn)(size_t, size_t);
typedef void *(*resize_fn)(void *, size_t);
typedef void *(*resize_array_fn)(void *, size_t, size_t);
typedef void (*release_fn)(void *);
typedef size_t (*size_fn)(void *);
typedef void *(*aligned_fn)(size_t, size_t);
typedef void *(*aligned_resize_fn)(void *, size_t, size_t);
typedef void *(*aligned_resize_array_fn)(void *, size_t, size_t, size_t);
typedef size_t (*aligned_size_fn)(void *, size_t, size_t);
typedef void *(*offset_fn)(size_t, size_t, size_t);
typedef void *(*offset_resize_fn)(void *, size_t, size_t, size_t);
typedef void *(*offset_resize_array_fn)(void *, size_t, size_t, size_t, size_t);
typedef int (*environment_fn)(char **, size_t *, const char *);
typedef int (*wide_environment_fn)(wchar_t **, size_t *, const wchar_t *);

enum { BYTES = 100, ALIGNMENT = 64, OFFSET = 24, MORE = 40000 };

static bool wine_lacks_aligned_recalloc;

/* The function under one of its names; says which names there are. */
static void *exported(const char *name) {
    void *function = crt_function(name);
    if (function) {
        say("exported %s", name);
    }
    return function;
}

static void check_block(const char *name, void *block, size_t size) {
    CHECK(block != NULL, "%s returned NULL", name);
    CHECK(in_current_heap(block), "%s returned a block that is not mimalloc's", name);
    fill(block, size, 1);
}

static void check_moved(const char *name, void *block, size_t kept) {
    CHECK(block != NULL, "%s returned NULL", name);
    CHECK(in_current_heap(block), "%s returned a block that is not mimalloc's", name);
    CHECK(intact(block, kept, 1) == kept, "%s lost the contents", name);
}

static void allocators(void) {
    static const char *const names[] = {"malloc", "_malloc_base", "_o_malloc", "_o__malloc_base"};
    for (int i = 0; i < 4; i++) {
        allocate_fn function = (allocate_fn)exported(names[i]);
        if (function) {
            void *block = function(BYTES);
            check_block(names[i], block, BYTES);
            free(block);
        }
    }
    static const char *const arrays[] = {"calloc", "_calloc_base", "_o_calloc", "_o__calloc_base"};
    for (int i = 0; i < 4; i++) {
        allocate_array_fn function = (allocate_array_fn)exported(arrays[i]);
        if (function) {
            void *block = function(BYTES, 2);
            check_block(arrays[i], block, BYTES);
            free(block);
        }
    }
}

static void resizers(void) {
    static const char *const names[] = {"realloc", "_realloc_base", "_o_realloc",
                                        "_o__realloc_base"};
    for (int i = 0; i < 4; i++) {
        resize_fn function = (resize_fn)exported(names[i]);
        if (function) {
            void *block = function(NULL, BYTES);
            check_block(names[i], block, BYTES);
            block = function(block, MORE);
            check_moved(names[i], block, BYTES);
            free(block);
        }
    }
    static const char *const arrays[] = {"_recalloc", "_recalloc_base", "_o__recalloc",
                                         "_o__recalloc_base"};
    for (int i = 0; i < 4; i++) {
        resize_array_fn function = (resize_array_fn)exported(arrays[i]);
        if (function) {
            void *block = function(NULL, BYTES, 1);
            check_block(arrays[i], block, BYTES);
            block = function(block, MORE, 1);
            check_moved(arrays[i], block, BYTES);
            CHECK(((char *)block)[MORE - 1] == 0, "%s did not zero what it added", arrays[i]);
            free(block);
        }
    }
    static const char *const in_place[] = {"_expand", "_expand_base", "_o__expand"};
    for (int i = 0; i < 3; i++) {
        resize_fn function = (resize_fn)exported(in_place[i]);
        if (function) {
            void *block = malloc(BYTES);
            CHECK(function(block, BYTES / 2) == block, "%s did not shrink in place", in_place[i]);
            free(block);
        }
    }
}

static void releasers_and_sizes(void) {
    static const char *const names[] = {"free", "_free_base", "_o_free", "_o__free_base"};
    for (int i = 0; i < 4; i++) {
        release_fn function = (release_fn)exported(names[i]);
        for (int round = 0; function && round < 1000; round++) {
            void *block = malloc(BYTES);
            check_block("malloc", block, BYTES);
            function(block);
        }
    }
    static const char *const sizes[] = {"_msize", "_msize_base", "_o__msize"};
    for (int i = 0; i < 3; i++) {
        size_fn function = (size_fn)exported(sizes[i]);
        if (function) {
            void *block = malloc(BYTES);
            CHECK(function(block) >= BYTES, "%s answered less than was asked for", sizes[i]);
            free(block);
        }
    }
}

static void aligned(void) {
    static const char *const names[] = {"_aligned_malloc", "_o__aligned_malloc"};
    static const char *const resizes[] = {"_aligned_realloc", "_o__aligned_realloc"};
    static const char *const arrays[] = {"_aligned_recalloc", "_o__aligned_recalloc"};
    static const char *const sizes[] = {"_aligned_msize", "_o__aligned_msize"};
    static const char *const releases[] = {"_aligned_free", "_o__aligned_free"};
    for (int i = 0; i < 2; i++) {
        aligned_fn function = (aligned_fn)exported(names[i]);
        aligned_resize_fn resize = (aligned_resize_fn)exported(resizes[i]);
        aligned_resize_array_fn resize_array = (aligned_resize_array_fn)exported(arrays[i]);
        aligned_size_fn size = (aligned_size_fn)exported(sizes[i]);
        release_fn release = (release_fn)exported(releases[i]);
        void *block = function(BYTES, ALIGNMENT);
        check_block(names[i], block, BYTES);
        block = resize(block, BYTES * 2, ALIGNMENT);
        check_moved(resizes[i], block, BYTES);
        CHECK(size(block, ALIGNMENT, 0) >= BYTES * 2, "%s answered less than was asked for",
              sizes[i]);
        if (!wine_lacks_aligned_recalloc) {
            block = resize_array(block, MORE, 1, ALIGNMENT);
            check_moved(arrays[i], block, BYTES);
            CHECK(((char *)block)[MORE - 1] == 0, "%s did not zero what it added", arrays[i]);
        }
        CHECK(aligned_to(block, ALIGNMENT), "%s returned a badly aligned block", resizes[i]);
        release(block);
    }
}

static void offset_aligned(void) {
    static const char *const names[] = {"_aligned_offset_malloc", "_o__aligned_offset_malloc"};
    static const char *const resizes[] = {"_aligned_offset_realloc", "_o__aligned_offset_realloc"};
    static const char *const arrays[] = {"_aligned_offset_recalloc", "_o__aligned_offset_recalloc"};
    for (int i = 0; i < 2; i++) {
        offset_fn function = (offset_fn)exported(names[i]);
        offset_resize_fn resize = (offset_resize_fn)exported(resizes[i]);
        offset_resize_array_fn resize_array = (offset_resize_array_fn)exported(arrays[i]);
        char *block = function(BYTES, ALIGNMENT, OFFSET);
        check_block(names[i], block, BYTES);
        block = resize(block, BYTES * 2, ALIGNMENT, OFFSET);
        check_moved(resizes[i], block, BYTES);
        if (!wine_lacks_aligned_recalloc) {
            block = resize_array(block, MORE, 1, ALIGNMENT, OFFSET);
            check_moved(arrays[i], block, BYTES);
            CHECK(block[MORE - 1] == 0, "%s did not zero what it added", arrays[i]);
        }
        CHECK(aligned_to(block + OFFSET, ALIGNMENT), "%s returned a badly aligned block",
              resizes[i]);
        _aligned_free(block);
    }
}

static void texts(void) {
    static const char *const names[] = {"_strdup", "_mbsdup", "_strdup_base", "_o__strdup",
                                        "_o__mbsdup"};
    for (int i = 0; i < 5; i++) {
        char *(*function)(const char *) = (char *(*)(const char *))exported(names[i]);
        if (function) {
            char *text = function("some text");
            CHECK(strcmp(text, "some text") == 0, "%s returned another text", names[i]);
            CHECK(in_current_heap(text), "%s returned a block that is not mimalloc's", names[i]);
            free(text);
        }
    }
    static const char *const wide[] = {"_wcsdup", "_wcsdup_base", "_o__wcsdup"};
    for (int i = 0; i < 3; i++) {
        wchar_t *(*function)(const wchar_t *) = (wchar_t * (*)(const wchar_t *)) exported(wide[i]);
        if (function) {
            wchar_t *text = function(L"some text");
            CHECK(wcscmp(text, L"some text") == 0, "%s returned another text", wide[i]);
            CHECK(in_current_heap(text), "%s returned a block that is not mimalloc's", wide[i]);
            free(text);
        }
    }
}

static void environment(void) {
    static const char *const names[] = {"_dupenv_s", "_o__dupenv_s"};
    static const char *const wide[] = {"_wdupenv_s", "_o__wdupenv_s"};
    /* The `_o_` names have an environment of their own. */
    static const char *const setters[] = {"_putenv_s", "_o__putenv_s"};
    for (int i = 0; i < 2; i++) {
        int (*set)(const char *, const char *) =
            (int (*)(const char *, const char *))crt_function(setters[i]);
        CHECK(set && set("ALLOGRAFT_FAMILY", "value") == 0, "%s failed", setters[i]);
        environment_fn function = (environment_fn)exported(names[i]);
        char *value = NULL;
        size_t size = 0;
        CHECK(function && function(&value, &size, "ALLOGRAFT_FAMILY") == 0, "%s failed", names[i]);
        CHECK(value && strcmp(value, "value") == 0 && size == 6, "%s returned another value",
              names[i]);
        CHECK(in_current_heap(value), "%s returned a block that is not mimalloc's", names[i]);
        free(value);
        wide_environment_fn wide_function = (wide_environment_fn)exported(wide[i]);
        wchar_t *wide_value = NULL;
        CHECK(wide_function && wide_function(&wide_value, &size, L"ALLOGRAFT_FAMILY") == 0,
              "%s failed", wide[i]);
        CHECK(wide_value && wcscmp(wide_value, L"value") == 0 && size == 6,
              "%s returned another value", wide[i]);
        CHECK(in_current_heap(wide_value), "%s returned a block that is not mimalloc's", wide[i]);
        free(wide_value);
    }
}

int main(void) {
    meet_harness();
    /* Wine's own CRT has these two by name only, and ends the program when they are called. */
    wine_lacks_aligned_recalloc = !taken_over() && on_wine_crt();
    allocators();
    resizers();
    releasers_and_sizes();
    aligned();
    offset_aligned();
    texts();
    environment();
    return verdict();
}
