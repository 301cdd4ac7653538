// build: args -fno-builtin -ladvapi32
/* Finds a status page of its own process made in advance, as somebody might who wants to tell the
 * module what to do, and loads the module. Arguments: the module, a file with the page, the owner
 * of the section in the system's notation, and whether the module should use it. */

#include "support.h"
#include <sddl.h>
#include <stdlib.h>

/* Where a page says whose it is. */
enum { PLACE_OF_PID = 16, PLACE_OF_CREATION = 24, MOST_BYTES = 1 << 18 };

static unsigned char *plant(const char *owner, const unsigned char *page, DWORD size) {
    char text[200], name[64];
    snprintf(text, sizeof text, "O:%sD:(A;;GA;;;WD)", owner);
    snprintf(name, sizeof name, "Local\\allograft.%lu", GetCurrentProcessId());
    SECURITY_ATTRIBUTES attributes = {sizeof attributes, NULL, FALSE};
    BOOL made = ConvertStringSecurityDescriptorToSecurityDescriptorA(
        text, SDDL_REVISION_1, &attributes.lpSecurityDescriptor, NULL);
    CHECK(made, "%s is no security descriptor: error %lu", text, GetLastError());
    HANDLE section =
        CreateFileMappingA(INVALID_HANDLE_VALUE, &attributes, PAGE_READWRITE, 0, size, name);
    CHECK(section != NULL, "the section cannot be made: error %lu", GetLastError());
    unsigned char *view = MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, size);
    CHECK(view != NULL, "the section cannot be mapped: error %lu", GetLastError());
    memcpy(view, page, size);
    DWORD pid = GetCurrentProcessId();
    FILETIME creation, others[3];
    GetProcessTimes(GetCurrentProcess(), &creation, &others[0], &others[1], &others[2]);
    memcpy(view + PLACE_OF_PID, &pid, sizeof pid);
    memcpy(view + PLACE_OF_CREATION, &creation, sizeof creation);
    return view;
}

int main(int count, char **arguments) {
    static unsigned char page[MOST_BYTES], before[MOST_BYTES];
    CHECK(count == 5, "usage: %s MODULE PAGE OWNER used|unused", arguments[0]);
    FILE *file = count == 5 ? fopen(arguments[2], "rb") : NULL;
    size_t size = file ? fread(page, 1, sizeof page, file) : 0;
    CHECK(size > PLACE_OF_CREATION && size < sizeof page, "there is no page");
    if (failures) {
        return verdict();
    }
    fclose(file);
    unsigned char *view = plant(arguments[3], page, (DWORD)size);
    memcpy(before, view, size);
    CHECK(LoadLibraryA(arguments[1]) != NULL, "the module cannot be loaded: error %lu",
          GetLastError());
    CHECK(taken_over(), "the module has not taken over");
    bool used = memcmp(before, view, size) != 0;
    CHECK(used == (strcmp(arguments[4], "used") == 0), "the page was %s",
          used ? "used" : "not used");
    return verdict();
}
