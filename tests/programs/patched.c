/* Says which heap its blocks come from. It has a load configuration, whose DependentLoadFlags are
 * set in copies of it: they say where the loader looks for what the program imports. */

#include "support.h"
#include <stdlib.h>

/* The linker makes the image's load configuration of what has this name. */
#ifdef _WIN64
const IMAGE_LOAD_CONFIG_DIRECTORY64 _load_config_used = {.Size = sizeof _load_config_used};
#else
const IMAGE_LOAD_CONFIG_DIRECTORY32 _load_config_used = {.Size = sizeof _load_config_used};
#endif

int main(void) {
    void *block = malloc(100);
    say("%s", owned(block) ? "on mimalloc" : "on the old heap");
    free(block);
    return verdict();
}
