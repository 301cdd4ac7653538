// build: args -fno-builtin
/* Starts itself in the ways that programs start others, and each child says whether it was on
 * mimalloc from the start. The first argument is how many generations follow; the second, how this
 * one was started. If the variable ALLOGRAFT_TEST_OTHER names the same program of the other
 * bitness, the generations alternate between the two. */

#include "support.h"
#include <errno.h>
#include <process.h>
#include <stdlib.h>

static char child_path[MAX_PATH];

static void await(HANDLE process, const char *way) {
    DWORD code = 1;
    CHECK(WaitForSingleObject(process, 60000) == WAIT_OBJECT_0, "the child of %s did not end", way);
    GetExitCodeProcess(process, &code);
    CHECK(code == 0, "the child of %s ended with %lu", way, code);
    CloseHandle(process);
}

/* Under Wine, with children followed, about one start in a thousand fails on a busy machine:
 * NtCreateUserProcess itself says ERROR_INTERNAL_ERROR, as if the process that it has just made
 * were gone. Why is not known; it is asked again, a few times. */
static bool another_try(int *tries) {
    return GetLastError() == ERROR_INTERNAL_ERROR && ++*tries < 4;
}

/* As kernel32 starts programs, with `flags`. */
static void create(const char *generations, const char *way, DWORD flags) {
    char command[MAX_PATH + 100];
    snprintf(command, sizeof command, "\"%s\" %s %s", child_path, generations, way);
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION child;
    int tries = 0;
    while (!CreateProcessA(child_path, command, NULL, NULL, TRUE, flags, NULL, NULL, &startup,
                           &child)) {
        if (!another_try(&tries)) {
            CHECK(false, "no child by %s: error %lu", way, GetLastError());
            return;
        }
    }
    if (flags & CREATE_SUSPENDED) {
        CHECK(ResumeThread(child.hThread) == 1,
              "the thread of a stopped child was not stopped once");
    }
    CloseHandle(child.hThread);
    await(child.hProcess, way);
}

/* As the C runtime does. */
static void spawn(const char *generations) {
    const char *arguments[] = {"family.exe", generations, "spawn", NULL};
    int tries = 0;
    intptr_t child;
    do {
        child = _spawnv(_P_NOWAIT, child_path, arguments);
    } while (child == -1 && another_try(&tries));
    CHECK(child != -1, "no child by spawn: errno %d, error %lu", errno, GetLastError());
    if (child != -1) {
        await((HANDLE)child, "spawn");
    }
}

static void choose_child(void) {
    char own_path[MAX_PATH];
    const char *other = getenv("ALLOGRAFT_TEST_OTHER");
    GetModuleFileNameA(NULL, own_path, sizeof own_path);
    snprintf(child_path, sizeof child_path, "%s", other != NULL ? other : own_path);
    if (other != NULL) {
        _putenv_s("ALLOGRAFT_TEST_OTHER", own_path);
    }
}

int main(int count, char **arguments) {
    char generations[2] = {count > 1 ? arguments[1][0] : '0', 0};
    void *block = malloc(100);
    say("%s: %s", count > 2 ? arguments[2] : "parent",
        owned(block) ? "on mimalloc" : "on the old heap");
    free(block);
    if (count < 3) {
        meet_harness();
    }
    if (generations[0] > '0') {
        generations[0]--;
        choose_child();
        create(generations, "CreateProcess", 0);
        create(generations, "stopped", CREATE_SUSPENDED);
        spawn(generations);
    }
    return verdict();
}
