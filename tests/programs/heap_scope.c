// build: args -fno-builtin
/* Whose calls of HeapAlloc mimalloc serves. The argument names who is served: `none`, `program` or
 * `all`; or what stands against it: `hook` (another tool has redirected HeapFree in the program's
 * import table), `flags` (the system checks the heap). `untouched`: the free side is off too. */

#include "support.h"
#include "import_slot.h"

SYSTEM_IMPORT(slot_of_free, HeapFree, 12);

static BOOL WINAPI other_tools_free(HANDLE heap, DWORD flags, void *block) {
    BOOL(WINAPI * original)(HANDLE, DWORD, void *) =
        exported(GetModuleHandleA("kernel32.dll"), "HeapFree");
    return original(heap, flags, block);
}

static void write_slot(void **slot, void *value) {
    DWORD former;
    VirtualProtect(slot, sizeof *slot, PAGE_READWRITE, &former);
    *slot = value;
    VirtualProtect(slot, sizeof *slot, former, &former);
}

/* The global flags of the process (NtGlobalFlag). */
static DWORD *global_flags(void) {
#if defined(_WIN64)
    return (DWORD *)((char *)__readgsqword(0x60) + 0xBC);
#else
    return (DWORD *)((char *)__readfsdword(0x30) + 0x68);
#endif
}

static void check_dll(const char *path, void *kernels_free, bool served, bool untouched) {
    HMODULE module = LoadLibraryA(path);
    CHECK(module, "%s cannot be loaded: error %lu", path, GetLastError());
    void *(*allocate)(size_t) = exported(module, "allocate");
    void *(*imported_free)(void) = exported(module, "imported_free");
    CHECK(allocate && imported_free, "%s lacks its functions", path);
    if (allocate && imported_free) {
        void *block = allocate(100);
        CHECK(owned(block) == served, "a block of the DLL's is %s",
              owned(block) ? "mimalloc's" : "the old heap's");
        CHECK((imported_free() == kernels_free) == untouched, "the DLL's HeapFree leads to %p",
              imported_free());
        CHECK(HeapFree(GetProcessHeap(), 0, block), "a block of the DLL's cannot be freed");
    }
}

int main(int count, char **arguments) {
    const char *scope = count > 1 ? arguments[1] : "none";
    bool all = !strcmp(scope, "all"), program = all || !strcmp(scope, "program");
    bool hook = !strcmp(scope, "hook"), flags = !strcmp(scope, "flags");
    bool untouched = flags || !strcmp(scope, "untouched");
    void *kernels_free = exported(GetModuleHandleA("kernel32.dll"), "HeapFree");
    char *before = HeapAlloc(GetProcessHeap(), 0, 100), *moved;
    fill(before, 100, 1);
    if (hook) {
        write_slot(&slot_of_free, (void *)other_tools_free);
    }
    if (flags) {
        *global_flags() |= 0x02000000;
    }
    meet_harness();
    CHECK(taken_over(), "nothing was taken over");
    char *block = HeapAlloc(GetProcessHeap(), 0, 100);
    CHECK(owned(block) == program, "a block of the program's is %s",
          owned(block) ? "mimalloc's" : "the old heap's");
    size_t size = HeapSize(GetProcessHeap(), 0, block);
    CHECK(size == 100, "its size is %zu", size);
    CHECK(HeapFree(GetProcessHeap(), 0, block), "it cannot be freed");
    CHECK(!hook || slot_of_free == (void *)other_tools_free, "the other tool's hook is gone");
    moved = HeapReAlloc(GetProcessHeap(), 0, before, 1000);
    CHECK(owned(moved) == program, "a block from before is %s",
          owned(moved) ? "mimalloc's" : "the old heap's");
    CHECK(intact(moved, 100, 1) == 100, "it has changed");
    CHECK(HeapFree(GetProcessHeap(), 0, moved), "it cannot be freed");
    /* Flags and heaps that mimalloc does not serve. */
    HANDLE other = HeapCreate(0, 0, 0x10000);
    block = HeapAlloc(other, HEAP_ZERO_MEMORY, 100);
    CHECK(block && !owned(block), "a block of another heap is mimalloc's");
    HeapDestroy(other);
    check_dll("heap_scope_dll.dll", kernels_free, all, untouched);
    return verdict();
}
