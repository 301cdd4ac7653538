/* Loads every file `plugins\*.asi` in the current folder as a DLL, as loaders of plug-ins do, and
 * uses blocks of before afterwards. */

#include "support.h"
#include <stdlib.h>

enum { BLOCKS = 200 };

static int load_plugins(void) {
    WIN32_FIND_DATAA found;
    HANDLE search = FindFirstFileA("plugins\\*.asi", &found);
    int count = 0;
    if (search == INVALID_HANDLE_VALUE) {
        return 0;
    }
    do {
        char path[MAX_PATH + 16];
        snprintf(path, sizeof path, "plugins\\%s", found.cFileName);
        CHECK(LoadLibraryA(path) != NULL, "%s was not loaded: error %lu", path, GetLastError());
        count++;
    } while (FindNextFileA(search, &found));
    FindClose(search);
    return count;
}

int main(void) {
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i + 1);
        memset(blocks[i], i, i + 1);
    }
    CHECK(load_plugins() == 1, "there is not one plug-in");
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = realloc(blocks[i], 2 * i + 1);
        CHECK(blocks[i][0] == (char)i && blocks[i][i] == (char)i, "block %d has changed", i);
        free(blocks[i]);
    }
    return verdict();
}
