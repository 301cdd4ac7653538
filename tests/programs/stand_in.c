/* Loads a DLL by the name that the first argument gives, while a proxy of that name lies beside the
 * program. The proxy must be what is loaded, must have brought the module, must export every
 * function of the system's DLL, and must pass calls on. */

#include "support.h"
#include <stdlib.h>

/* Functions without arguments whose answers do not depend on when they are called. */
static const char *const callable[][2] = {
    {"winhttp.dll", "WinHttpCheckPlatform"},
    {"dinput8.dll", "DllCanUnloadNow"},
};

/* The path of the system's DLL of this name. */
static const char *of_the_system(const char *name) {
    static char path[MAX_PATH + 100];
    UINT length = GetSystemDirectoryA(path, MAX_PATH);
    snprintf(path + length, 100, "\\%s", name);
    return path;
}

static void compare_names(HMODULE proxy, HMODULE system) {
    const char *base = (const char *)system;
    const IMAGE_NT_HEADERS *headers =
        (const void *)(base + ((const IMAGE_DOS_HEADER *)base)->e_lfanew);
    DWORD at = headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress;
    const IMAGE_EXPORT_DIRECTORY *table = (const void *)(base + at);
    const DWORD *names = (const void *)(base + table->AddressOfNames);
    for (DWORD i = 0; at && i < table->NumberOfNames; i++) {
        const char *name = base + names[i];
        CHECK(GetProcAddress(proxy, name), "the proxy lacks %s", name);
    }
    say("%lu names", at ? table->NumberOfNames : 0);
}

static void compare_call(const char *dll, HMODULE proxy, HMODULE system) {
    for (size_t i = 0; i < COUNT_OF(callable); i++) {
        if (strcmp(callable[i][0], dll) == 0) {
            int(WINAPI * ours)(void) = exported(proxy, callable[i][1]);
            int(WINAPI * theirs)(void) = exported(system, callable[i][1]);
            CHECK(ours && theirs && ours != theirs && ours() == theirs(), "%s answers differently",
                  callable[i][1]);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        say("usage: stand_in DLL");
        return 2;
    }
    const char *dll = arguments[1];
    if (GetFileAttributesA(of_the_system(dll)) == INVALID_FILE_ATTRIBUTES) {
        say("absent");
        return 3;
    }
    void *before = malloc(1000);
    /* The proxy first: the loader gives a name to the DLL that has it already. */
    HMODULE proxy = LoadLibraryA(dll);
    HMODULE system = LoadLibraryA(of_the_system(dll));
    CHECK(system, "the system's %s cannot be loaded: error %lu", dll, GetLastError());
    CHECK(proxy && proxy != system, "the system's %s was loaded and not the one beside it", dll);
    look_for_module();
    void *block = malloc(100);
    CHECK(owned(block), "a block is not mimalloc's");
    free(block);
    free(realloc(before, 5000));
    if (proxy && system && proxy != system) {
        compare_names(proxy, system);
        compare_call(dll, proxy, system);
    }
    return verdict();
}
