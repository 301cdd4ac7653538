// build: args -lversion
// Calls functions of version.dll, which it imports, and compares them with those of the system's
// file: with a proxy of that name beside the program both must answer the same. `with-module` as
// its first argument says that the proxy is to have loaded the module.

#include "support.h"
#include <stdlib.h>

/* The exception with which delay-loading and proxies say that a function is not there. */
#define FUNCTION_NOT_FOUND 0xC06D007Fu

static volatile LONG not_found;

static HMODULE of_the_system(void) {
    wchar_t path[MAX_PATH + 16];
    UINT length = GetSystemDirectoryW(path, MAX_PATH);
    wcscpy(path + length, L"\\version.dll");
    return LoadLibraryW(path);
}

/* Eight arguments: half of them are handed over on the stack. */
static void compare_find_file(HMODULE module) {
    __typeof__(&VerFindFileA) system = exported(module, "VerFindFileA");
    char found[2][2][MAX_PATH] = {{{0}}};
    UINT lengths[2][2] = {{MAX_PATH, MAX_PATH}, {MAX_PATH, MAX_PATH}};
    DWORD ours = VerFindFileA(0, "kernel32.dll", NULL, "C:\\application", found[0][0],
                              &lengths[0][0], found[0][1], &lengths[0][1]);
    DWORD theirs = system(0, "kernel32.dll", NULL, "C:\\application", found[1][0], &lengths[1][0],
                          found[1][1], &lengths[1][1]);
    CHECK(ours == theirs, "VerFindFileA answers %lu, and %lu in the system's file", ours, theirs);
    CHECK(memcmp(found[0], found[1], sizeof found[0]) == 0, "VerFindFileA finds other files");
    CHECK(memcmp(lengths[0], lengths[1], sizeof lengths[0]) == 0,
          "VerFindFileA tells other lengths");
}

static void compare_information(HMODULE module) {
    __typeof__(&GetFileVersionInfoW) system = exported(module, "GetFileVersionInfoW");
    DWORD size = GetFileVersionInfoSizeW(L"kernel32.dll", NULL);
    CHECK(size > 0, "the version of kernel32.dll has no size");
    unsigned char *ours = malloc(size), *theirs = malloc(size);
    memset(ours, 0, size);
    memset(theirs, 0, size);
    CHECK(GetFileVersionInfoW(L"kernel32.dll", 0, size, ours), "GetFileVersionInfoW failed");
    CHECK(system(L"kernel32.dll", 0, size, theirs),
          "GetFileVersionInfoW of the system's file failed");
    CHECK(memcmp(ours, theirs, size) == 0, "the two versions of kernel32.dll differ");
    VS_FIXEDFILEINFO *fixed = NULL;
    UINT length = 0;
    CHECK(VerQueryValueW(ours, L"\\", (void **)&fixed, &length) && fixed->dwSignature == 0xFEEF04BD,
          "VerQueryValueW found no version");
    free(ours);
    free(theirs);
}

static void compare_language(HMODULE module, HMODULE proxy) {
    __typeof__(&VerLanguageNameW) system = exported(module, "VerLanguageNameW");
    wchar_t ours[100] = L"", theirs[100] = L"";
    CHECK(VerLanguageNameW(0x0409, ours, 100) == system(0x0409, theirs, 100) &&
              wcscmp(ours, theirs) == 0,
          "the names of a language differ");
    void *first = exported(proxy, (const char *)1);
    void *named = exported(proxy, "GetFileVersionInfoA");
    CHECK(first != NULL && first == named, "ordinal 1 is %p, GetFileVersionInfoA %p", first, named);
}

/* In 64 bits the call of a function that this system does not have tells so, and returns 0 where
 * the program goes on. In 32 bits it cannot return: nobody knows how many arguments to take off the
 * stack. */
static LONG CALLBACK count_not_found(EXCEPTION_POINTERS *exception) {
    if (exception->ExceptionRecord->ExceptionCode != FUNCTION_NOT_FOUND) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    InterlockedIncrement(&not_found);
#ifndef _WIN64
    ExitThread(0);
#endif
    return EXCEPTION_CONTINUE_EXECUTION;
}

static DWORD WINAPI call(void *missing) {
    DWORD(WINAPI * function)(void) = missing;
    return function();
}

static void call_what_is_missing(HMODULE proxy, HMODULE system) {
    void *missing = exported(proxy, "GetFileVersionInfoByHandle");
    if (missing == NULL || GetProcAddress(system, "GetFileVersionInfoByHandle") != NULL) {
        return;
    }
    void *handler = AddVectoredExceptionHandler(1, count_not_found);
    HANDLE caller = start_thread(call, missing);
    DWORD answer = 1;
    WaitForSingleObject(caller, INFINITE);
    GetExitCodeThread(caller, &answer);
    CloseHandle(caller);
    RemoveVectoredExceptionHandler(handler);
    CHECK(not_found == 1 && answer == 0,
          "a missing function raised %ld exceptions and returned %lu", not_found, answer);
}

int main(int count, char **arguments) {
    bool with_module = count > 1 && strcmp(arguments[1], "with-module") == 0;
    HMODULE proxy = GetModuleHandleA("version.dll"), system = of_the_system();
    CHECK(system != NULL, "the system's version.dll cannot be loaded");
    CHECK(!with_module || proxy != system, "the program did not get the version.dll beside it");
    compare_information(system);
    compare_find_file(system);
    compare_language(system, proxy);
    call_what_is_missing(proxy, system);
    look_for_module();
    void *block = malloc(100);
    CHECK(taken_over() == with_module, "the heap is%s taken over", with_module ? " not" : "");
    CHECK(owned(block) == with_module, "a block is%s mimalloc's", with_module ? " not" : "");
    free(block);
    return verdict();
}
