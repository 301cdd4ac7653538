// build: args -fno-builtin
/* Prints who else is in this process: modules that are neither Windows' nor the program's, and
 * functions of ntdll that begin with a jump. Nothing but security software, overlays and the like
 * come into a program by themselves. */

#define PSAPI_VERSION 2
#include "support.h"
#include <psapi.h>

enum { MOST_MODULES = 500 };

static const char *const hookable[] = {
    "LdrLoadDll",         "NtAllocateVirtualMemory", "NtCreateThreadEx",     "NtGetContextThread",
    "NtMapViewOfSection", "NtProtectVirtualMemory",  "NtQueryVirtualMemory", "NtQueueApcThread",
    "NtResumeThread",     "NtSuspendThread",         "NtWriteVirtualMemory",
};

static bool is_in(const char *file, const char *folder) {
    size_t length = strlen(folder);
    return _strnicmp(file, folder, length) == 0 && file[length] == '\\';
}

static void print_modules(void) {
    HMODULE modules[MOST_MODULES];
    DWORD used = 0;
    char windows[MAX_PATH], own[MAX_PATH], file[MAX_PATH];
    GetWindowsDirectoryA(windows, sizeof windows);
    GetModuleFileNameA(NULL, own, sizeof own);
    *strrchr(own, '\\') = 0;
    EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &used);
    for (DWORD i = 0; i < used / sizeof *modules && i < MOST_MODULES; i++) {
        DWORD length = GetModuleFileNameA(modules[i], file, sizeof file);
        if (length && !is_in(file, windows) && !is_in(file, own)) {
            say("module: %s", file);
        }
    }
}

int main(void) {
    print_modules();
    for (size_t i = 0; i < COUNT_OF(hookable); i++) {
        const unsigned char *code = exported(GetModuleHandleA("ntdll.dll"), hookable[i]);
        if (code && (code[0] == 0xE9 || code[0] == 0xEB || (code[0] == 0xFF && code[1] == 0x25))) {
            say("hooked: %s", hookable[i]);
        }
    }
    return verdict();
}
