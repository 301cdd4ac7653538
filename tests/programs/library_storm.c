// build: args -fno-builtin
/* Threads load and unload DLLs that use the C runtime, each DLL under several names, and pass
 * blocks between all of them, while the harness loads the module and for a while after it.
 * Arguments: milliseconds to go on; the folder for the copies of the DLL. */

#include "traffic.h"

enum { LOADERS = 6, COPIES = 8, WORKERS = 2 };

static char copies[COPIES][MAX_PATH];
static volatile LONG loaded;
static struct traffic traffics[WORKERS];

static void copy_library(const char *folder) {
    char original[MAX_PATH];
    GetModuleFileNameA(NULL, original, sizeof original);
    char *name = strrchr(original, '\\');
    snprintf(name ? name + 1 : original, 32, "runtime_user.dll");
    for (int i = 0; i < COPIES; i++) {
        snprintf(copies[i], sizeof copies[i], "%s\\runtime_user.%lu.%d.dll", folder,
                 GetCurrentProcessId(), i);
        CHECK(CopyFileA(original, copies[i], FALSE), "%s cannot be copied to %s: error %lu",
              original, copies[i], GetLastError());
    }
}

static void use(const char *path, uint64_t *random) {
    HMODULE library = LoadLibraryA(path);
    void *(*make)(size_t) = exported(library, "make");
    void *(*grow)(void *, size_t) = exported(library, "resize");
    void (*take)(void *) = exported(library, "take");
    CHECK(make && grow && take, "%s was not loaded: error %lu", path, GetLastError());
    for (int i = 0; make && grow && take && i < 20; i++) {
        size_t size = 1 + (size_t)(next_random(random) % 3000);
        void *own = malloc(size), *theirs = make(size);
        fill(own, size, 1);
        fill(theirs, size, 2);
        own = grow(own, size + 100);
        theirs = realloc(theirs, size + 100);
        CHECK(intact(own, size, 1) == size && intact(theirs, size, 2) == size, "a block changed");
        take(own);
        free(theirs);
    }
    FreeLibrary(library);
    InterlockedIncrement(&loaded);
}

static DWORD WINAPI load_and_free(void *parameter) {
    uint64_t random = seed_of(7, (uintptr_t)parameter);
    while (!stop) {
        use(copies[next_random(&random) % COPIES], &random);
    }
    return 0;
}

int main(int count, char **arguments) {
    DWORD go_on = count > 1 ? (DWORD)atoi(arguments[1]) : 50;
    copy_library(count > 2 ? arguments[2] : ".");
    HANDLE threads[WORKERS + LOADERS];
    for (int i = 0; i < WORKERS; i++) {
        traffics[i].random = seed_of(3, (uint64_t)i);
        threads[i] = start_thread(operate_until_stop, &traffics[i]);
    }
    for (uintptr_t i = 0; i < LOADERS; i++) {
        threads[WORKERS + i] = start_thread(load_and_free, (void *)i);
    }
    meet_harness();
    LONG before = loaded;
    Sleep(go_on);
    for (int waited = 0; loaded - before < LOADERS && waited < 60000; waited++) {
        Sleep(1);
    }
    stop_and_check(threads, COUNT_OF(threads));
    CHECK(loaded - before >= LOADERS, "only %ld DLLs were loaded after the takeover",
          loaded - before);
    say("%ld DLLs were loaded and freed, %ld of them after the module came", loaded,
        loaded - before);
    for (int i = 0; i < COPIES; i++) {
        DeleteFileA(copies[i]);
    }
    return verdict();
}
