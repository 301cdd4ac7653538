// build: args -fno-builtin
/* A 32-bit program uses up its address space: how much of it the module takes, how much the program
 * can allocate, and which error it gets in the end. A 64-bit program does nothing. Argument:
 * `large` if the program is marked as able to use addresses above 2 GB. */

#include "support.h"
#include <errno.h>
#include <stdlib.h>

enum { BLOCK = 200000, MOST = 30000, MEGABYTE = 1 << 20 };

static char *blocks[MOST];

/* Bytes of address space that nobody has taken. */
static uint64_t free_address_space(void) {
    uint64_t bytes = 0;
    MEMORY_BASIC_INFORMATION region;
    for (char *at = NULL; VirtualQuery(at, &region, sizeof region) && region.RegionSize;) {
        bytes += region.State == MEM_FREE ? region.RegionSize : 0;
        char *next = (char *)region.BaseAddress + region.RegionSize;
        if (next <= at) {
            break;
        }
        at = next;
    }
    return bytes;
}

/* Allocates until there is no more; how many blocks there were. */
static int use_all(void) {
    for (int count = 0; count < MOST; count++) {
        errno = 0;
        blocks[count] = malloc(BLOCK);
        if (!blocks[count]) {
            CHECK(errno == ENOMEM, "errno is %d where there is no more memory", errno);
            return count;
        }
        blocks[count][0] = blocks[count][BLOCK - 1] = (char)count;
    }
    CHECK(false, "there was no end of memory");
    return MOST;
}

/* `megabytes` of blocks are to be had at least. Whether one of them lies above 2 GB is returned. */
static bool use_address_space(int megabytes) {
    int count = use_all();
    bool high = false;
    say("%d MB in blocks of %d bytes", (int)((uint64_t)count * BLOCK / MEGABYTE), BLOCK);
    CHECK((uint64_t)count * BLOCK / MEGABYTE >= (uint64_t)megabytes,
          "only %d blocks were to be had", count);
    for (int i = 0; i < count; i++) {
        CHECK(blocks[i][0] == (char)i && blocks[i][BLOCK - 1] == (char)i, "block %d has changed",
              i);
        high |= (uintptr_t)blocks[i] > 0x80000000u;
        free(blocks[i]);
    }
    int again = use_all();
    CHECK(again >= count - count / 20, "%d blocks were to be had the second time, and %d the first",
          again, count);
    for (int i = 0; i < again; i++) {
        free(blocks[i]);
    }
    return high;
}

/* What the module may take before the program asks for anything, with the stack of an injector's
 * thread. */
enum { MODULES_OWN = 64 * MEGABYTE };

int main(int count, char **arguments) {
    bool large = count > 1 && !strcmp(arguments[1], "large");
    if (sizeof(void *) > 4) {
        say("nothing to show in 64 bits");
        return verdict();
    }
    uint64_t before = free_address_space();
    meet_harness();
    uint64_t after = free_address_space();
    CHECK(taken_over(), "the module has not taken over");
    CHECK(before < after + MODULES_OWN, "the module took %d MB",
          (int)((before - after) / MEGABYTE));
    CHECK(use_address_space(large ? 3000 : 1500) == large,
          "a block lies on the wrong side of 2 GB");
    return verdict();
}
