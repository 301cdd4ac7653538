// build: args -fno-builtin
/* Sets the flags of the system's heap checks in its own environment block, as the system does for
 * programs that are being debugged. The process's heap must then be left alone. Argument: the
 * flags, in hexadecimal. */

#include "support.h"
#include <stdlib.h>
#include <winternl.h>

int main(int count, char **arguments) {
    char *block = (char *)NtCurrentTeb()->ProcessEnvironmentBlock;
    ULONG *flags = (ULONG *)(block + (sizeof(void *) == 8 ? 0xBC : 0x68));
    *flags |= count > 1 ? strtoul(arguments[1], NULL, 16) : 0;
    void *before = HeapAlloc(GetProcessHeap(), 0, 100);
    meet_harness();
    void *after = HeapAlloc(GetProcessHeap(), 0, 100);
    CHECK(!owned(after), "the process's heap is served");
    CHECK(HeapFree(GetProcessHeap(), 0, before), "a block from before cannot be freed");
    CHECK(HeapFree(GetProcessHeap(), 0, after), "a block from after cannot be freed");
    return verdict();
}
