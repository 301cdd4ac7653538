// build: args -lmimalloc
// Links with mimalloc.dll and calls it: the heap of its C runtime is taken over because of that,
// and blocks may be got with either interface and freed with the other.

#include <mimalloc.h>
#include <stdlib.h>

#include "support.h"

static void check_that_blocks_pass_either_way(void) {
    for (size_t size = 0; size < 100000; size = size * 2 + 1) {
        char *ours = mi_malloc(size), *runtimes = malloc(size);
        CHECK(mi_is_in_heap_region(ours), "mi_malloc(%zu) is not mimalloc's", size);
        CHECK(mi_is_in_heap_region(runtimes), "malloc(%zu) is not mimalloc's", size);
        fill(ours, size, 1);
        fill(runtimes, size, 2);
        ours = realloc(ours, size + 100);
        runtimes = mi_realloc(runtimes, size + 100);
        CHECK(intact(ours, size, 1) == size && intact(runtimes, size, 2) == size,
              "a block of %zu bytes changed", size);
        free(ours);
        mi_free(runtimes);
    }
}

static void check_variables(void) {
    SetEnvironmentVariableA("ALLOGRAFT_TEST_LINKED", "a value");
    char *value = NULL;
    size_t size = 0;
    CHECK(mi_dupenv_s(&value, &size, "ALLOGRAFT_TEST_LINKED") == 0 && size == 8 && value &&
              strcmp(value, "a value") == 0,
          "mi_dupenv_s gave %s, %zu characters", value ? value : "nothing", size);
    mi_free(value);
    CHECK(mi_dupenv_s(&value, &size, "ALLOGRAFT_TEST_NOT_SET") == 0 && size == 0 && value == NULL,
          "mi_dupenv_s found a variable that is not set");
    wchar_t *wide = NULL;
    CHECK(mi_wdupenv_s(&wide, &size, L"ALLOGRAFT_TEST_LINKED") == 0 && size == 8 && wide &&
              wcscmp(wide, L"a value") == 0,
          "mi_wdupenv_s gave another value");
    mi_free(wide);
}

static void check_what_else_is_exported(void) {
    char *copy = mi_strdup("text");
    CHECK(copy && strcmp(copy, "text") == 0, "mi_strdup copied wrongly");
    mi_free(copy);
    mi_heap_t *heap = mi_heap_new();
    void *in_heap = mi_heap_malloc(heap, 100);
    CHECK(in_heap && mi_heap_contains(heap, in_heap), "a block of a heap is not in it");
    mi_heap_destroy(heap);
    char *path = mi_realpath(".", NULL);
    CHECK(path && path[1] == ':', "mi_realpath gave %s", path ? path : "nothing");
    mi_free(path);
    CHECK(mi_usable_size(mi_new(10)) >= 10, "mi_new gave too little");
}

int main(int count, char **arguments) {
    bool disabled = count > 1 && strcmp(arguments[1], "disabled") == 0;
    CHECK(mi_version() > 30000, "the version is %d", mi_version());
    CHECK(mi_is_redirected() == !disabled, "mi_is_redirected() says the opposite");
    check_variables();
    check_what_else_is_exported();
    if (!disabled) {
        check_that_blocks_pass_either_way();
    }
    return verdict();
}
