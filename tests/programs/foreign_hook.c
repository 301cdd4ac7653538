// build: args -fno-builtin
/* Another tool has redirected `malloc` before the module comes. The module leaves everything as it
 * is: no byte of the C runtime's code changes, and the other tool's function goes on being called.
 */

#include "support.h"
#include <stdlib.h>

static volatile LONG calls;

static void *other_tools_malloc(size_t size) {
    InterlockedIncrement(&calls);
    return HeapAlloc(GetProcessHeap(), 0, size);
}

#if defined(_WIN64)
/* mov rax, target; jmp rax */
static const unsigned char template[] = {0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xE0};
enum { OPERAND = 2 };
#else
/* mov eax, target; jmp eax */
static const unsigned char template[] = {0xB8, 0, 0, 0, 0, 0xFF, 0xE0};
enum { OPERAND = 1 };
#endif

static void redirect(void *entry, void *target) {
    unsigned char jump[sizeof template];
    memcpy(jump, template, sizeof jump);
    memcpy(jump + OPERAND, &target, sizeof target);
    DWORD former;
    VirtualProtect(entry, sizeof jump, PAGE_EXECUTE_READWRITE, &former);
    memcpy(entry, jump, sizeof jump);
    VirtualProtect(entry, sizeof jump, former, &former);
    FlushInstructionCache(GetCurrentProcess(), entry, sizeof jump);
}

/* A sum over the bytes of all executable pages of the C runtime, and over their protections. */
static uint64_t state_of_code(void) {
    uint64_t sum = 0;
    char *base = (char *)GetModuleHandleA("ucrtbase.dll");
    MEMORY_BASIC_INFORMATION region;
    for (char *at = base; VirtualQuery(at, &region, sizeof region) && region.AllocationBase == base;
         at += region.RegionSize) {
        bool executable =
            region.Protect & (PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY);
        sum = sum * 31 + region.Protect;
        for (size_t i = 0; executable && i < region.RegionSize; i++) {
            sum = sum * 31 + (unsigned char)at[i];
        }
    }
    return sum;
}

int main(void) {
    redirect(crt_function("malloc"), (void *)other_tools_malloc);
    uint64_t before = state_of_code();
    meet_harness();
    CHECK(!taken_over(), "the module has taken over all the same");
    CHECK(state_of_code() == before, "the C runtime's code has changed");
    LONG calls_before = calls;
    void *block = malloc(100);
    CHECK(block != NULL && calls == calls_before + 1,
          "the other tool's function is not called any more");
    free(block);
    return verdict();
}
