// build: args -Wl,--subsystem,windows
/* A program without a console. It writes to a file beside it whether it is on mimalloc, goes on
 * for a few seconds in which it frees and resizes what it has, and ends with the exit code 7. */

#include "support.h"
#include <stdlib.h>
#include <wchar.h>

enum { BLOCKS = 2000, SECONDS = 6 };

static void *blocks[BLOCKS];

static void write_result(void) {
    wchar_t path[MAX_PATH];
    DWORD length = GetModuleFileNameW(NULL, path, MAX_PATH);
    wchar_t *name = path + length;
    while (name > path && name[-1] != L'\\') {
        name--;
    }
    wcscpy(name, L"result.txt");
    const char *result = owned(blocks[0]) ? "on mimalloc" : "on its own heap";
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    DWORD written = 0;
    WriteFile(file, result, (DWORD)strlen(result), &written, NULL);
    CloseHandle(file);
}

int main(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(1000);
    }
    write_result();
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 2 == 0) {
            free(blocks[i]);
        } else {
            blocks[i] = realloc(blocks[i], 2000);
        }
        if (i % (BLOCKS / SECONDS / 10) == 0) {
            Sleep(100);
        }
    }
    return 7;
}
