// build: args -fno-builtin
/* Functions inside the CRT that return memory for the caller to free: what they return is right,
 * can be sized, reallocated and freed, whichever heap it comes from, before and after the module
 * came. */

#include "support.h"
#include <direct.h>
#include <malloc.h>
#include <stdlib.h>
#include <wchar.h>

enum { RESULTS = 8 };

static void *made_before[RESULTS], *made_after[RESULTS];

/* One result of each function, in a fixed order. */
static void make(void *results[RESULTS]) {
    results[0] = _getcwd(NULL, 0);
    results[1] = _getcwd(NULL, 500);
    results[2] = _wgetcwd(NULL, 0);
    results[3] = _fullpath(NULL, "some\\..\\file", 0);
    results[4] = _wfullpath(NULL, L"some\\..\\file", 0);
    results[5] = _tempnam("C:\\", "alg");
    results[6] = _wtempnam(L"C:\\", L"alg");
    results[7] = _getdcwd(0, NULL, 0);
}

static bool is_wide(int index) { return index == 2 || index == 4 || index == 6; }

static bool right(int index, const void *result) {
    char directory[MAX_PATH], expected[MAX_PATH + 8], text[MAX_PATH + 8];
    GetCurrentDirectoryA(sizeof directory, directory);
    if (is_wide(index)) {
        snprintf(text, sizeof text, "%ls", (const wchar_t *)result);
    } else {
        snprintf(text, sizeof text, "%s", (const char *)result);
    }
    if (index == 5 || index == 6) {
        return strlen(text) > 3;
    }
    bool file = index == 3 || index == 4;
    const char *separator = directory[strlen(directory) - 1] == '\\' ? "" : "\\";
    snprintf(expected, sizeof expected, "%s%s%s", directory, file ? separator : "",
             file ? "file" : "");
    return strcmp(text, expected) == 0;
}

static void use_up(const char *when, int index, void *result) {
    CHECK(result != NULL, "result %d made %s is NULL", index, when);
    if (!result) {
        return;
    }
    CHECK(right(index, result), "result %d made %s is wrong", index, when);
    size_t bytes = is_wide(index) ? (wcslen(result) + 1) * sizeof(wchar_t) : strlen(result) + 1;
    CHECK(_msize(result) >= bytes, "result %d made %s is smaller than its text", index, when);
    if (index % 2) {
        result = realloc(result, 5000);
        CHECK(in_current_heap(result), "result %d made %s is not mimalloc's after a reallocation",
              index, when);
        CHECK(right(index, result), "result %d made %s is wrong after a reallocation", index, when);
    }
    free(result);
}

int main(void) {
    make(made_before);
    meet_harness();
    make(made_after);
    for (int index = 0; index < RESULTS; index++) {
        use_up("before", index, made_before[index]);
        use_up("after", index, made_after[index]);
    }
    return verdict();
}
