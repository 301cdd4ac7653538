/* Loads the C runtime that the first argument names, and prints its path and whether it is Wine's
 * own, which deviates from Microsoft's. The exit code is 3 if it cannot be loaded. */

#include "support.h"

int main(int count, char **arguments) {
    /* Wine marks its own DLLs here. */
    enum { MARK = 0x40 };
    static const char mark[] = "Wine builtin DLL";
    HMODULE runtime = count > 1 ? LoadLibraryA(arguments[1]) : NULL;
    if (!runtime) {
        say("error %lu", GetLastError());
        return 3;
    }
    char path[MAX_PATH] = "";
    GetModuleFileNameA(runtime, path, sizeof path);
    say("%s", path);
    say("%s", memcmp((const char *)runtime + MARK, mark, sizeof mark) == 0 ? "wine" : "microsoft");
    return 0;
}
