// build: args -nostdlib -lkernel32 -lversion -Wl,--entry=start -fno-builtin -fno-stack-protector
/* As linked_heap, with a proxy for version.dll that brings the module. */

#define LOADS_A_PROXY
#include "linked_heap.c"
