// build: args -fno-builtin
/* Pointers from all over the address space, from the first 64 KiB to the last terabyte: the module
 * says of each, without a fault, that mimalloc does not own it. */

#include "support.h"
#include <stdlib.h>

static int mapped, asked;

static void ask(uint64_t address) {
    asked++;
    CHECK(!owned((void *)address), "mimalloc is said to own the foreign address %llx",
          (unsigned long long)address);
}

/* Maps a page at the address where the system lets us, and asks about it and its surroundings
 * either way. */
static void ask_around(uint64_t address) {
    char *page = VirtualAlloc((void *)address, 0x10000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (page) {
        mapped++;
        page[0] = page[0xffff] = 1;
    }
    ask(address);
    ask(address + 0x10);
    ask(address + 0xfff8);
    ask(address - 1);
    if (page) {
        CHECK(page[0] == 1 && page[0xffff] == 1, "asking changed the page at %p", (void *)page);
        VirtualFree(page, 0, MEM_RELEASE);
    }
}

/* Below the smallest address that can be mapped and above the largest: nothing is there, and asking
 * is harmless. */
static void ask_about_nonsense(void) {
    static const uint64_t addresses[] = {0,
                                         1,
                                         8,
                                         0x10,
                                         0x1000,
                                         0xffff,
                                         0x7fffffff,
                                         0x80000000,
                                         0xffffffff,
                                         0x00007fffffff0000,
                                         0x0000800000000000,
                                         0xffff800000000000,
                                         0xfffffffffffffff8,
                                         UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        ask(addresses[i]);
    }
}

int main(void) {
    void *old = malloc(100);
    static int in_image;
    int on_stack = 0;
    bool before = taken_over();
    meet_harness();
    void *block = malloc(100);
    CHECK(in_current_heap(block), "a fresh block is not mimalloc's");
    CHECK(before || !owned(old), "an old block is said to be mimalloc's");
    ask((uint64_t)(uintptr_t)&in_image);
    ask((uint64_t)(uintptr_t)&on_stack);
    ask((uint64_t)(uintptr_t)GetModuleHandleA("ucrtbase.dll"));
    ask_about_nonsense();
    ask_around(0x10000);
    ask_around(0x7ffe0000 - 0x10000);
    for (uint64_t terabyte = 0; terabyte < 128; terabyte++) {
        ask_around((terabyte << 40) + 0x12340000);
        ask_around((terabyte << 40) + 0xfffff0000 - 0x10000);
        ask_around(((terabyte + 1) << 40) - 0x20000);
    }
    CHECK(mapped > 100, "only %d pages could be mapped", mapped);
    CHECK(!taken_over() || owned(block), "a block of mimalloc's is no longer known");
    free(block);
    free(old);
    return verdict();
}
