// build: args -fno-builtin
/* As exit_paths, with a C runtime that is linked in. */

#include "support.h"
#include "linked_runtime.h"
#include <stdlib.h>

__attribute__((constructor)) static void start_before_main(void) { start_linked_runtime(); }

#define malloc linked_malloc
#define realloc linked_realloc
#define free linked_free
#include "exit_paths.c"
