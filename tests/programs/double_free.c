// build: args -fno-builtin
/* Frees one of many blocks twice, or with the argument `overrun` writes a byte too many into one;
 * with `right` it makes no mistake. Then it goes on allocating. */

#include "support.h"

#include <malloc.h>
#include <stdlib.h>

enum { BLOCKS = 1000, BLOCK_SIZE = 48 };

static void *blocks[BLOCKS];

int main(int count, char **arguments) {
    const char *mistake = count > 1 ? arguments[1] : "twice";
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_SIZE);
        fill(blocks[i], BLOCK_SIZE, (uint64_t)i);
    }
    void *volatile block = blocks[BLOCKS / 2];
    if (strcmp(mistake, "overrun") == 0) {
        ((volatile unsigned char *)block)[BLOCK_SIZE] = 7;
    }
    free(block);
    if (strcmp(mistake, "twice") == 0) {
        free(block);
    }
    blocks[BLOCKS / 2] = NULL;
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(!blocks[i] || intact(blocks[i], BLOCK_SIZE, (uint64_t)i) == BLOCK_SIZE,
              "block %d changed", i);
        free(blocks[i]);
    }
    return verdict();
}
