// build: args -nostdlib -lkernel32 -Wl,--entry=start -fno-builtin -fno-stack-protector
/* As linked_runtime, with a runtime that makes a heap of its own and destroys it at the end. */

#define RUNTIME_HAS_OWN_HEAP
#include "linked_runtime.c"
