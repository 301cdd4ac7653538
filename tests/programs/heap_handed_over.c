// build: args -fno-builtin -lole32 -lntdll
/* Blocks of `malloc` given to the functions of the system's heap, which work on the real C runtime:
 * its heap is the process's. Functions are called through the import table, and by addresses that
 * GetProcAddress gives before and after the takeover. */

#include "support.h"
#include <objbase.h>
#include <stdlib.h>
#include <winternl.h>

enum { COUNT = 400, BYTES = 700 };

typedef BOOL(WINAPI *heap_free)(HANDLE, DWORD, void *);
typedef size_t(WINAPI *heap_size)(HANDLE, DWORD, const void *);
typedef void *(WINAPI *heap_realloc)(HANDLE, DWORD, void *, size_t);

static HANDLE heap;

static void *new_block(uint64_t tag) {
    void *block = malloc(BYTES);
    fill(block, BYTES, tag);
    return block;
}

static int compare(const void *a, const void *b) {
    uintptr_t first = *(const uintptr_t *)a, second = *(const uintptr_t *)b;
    return (first > second) - (first < second);
}

/* A function that frees is called with many blocks. That it did can be seen by where the next ones
 * are. */
static void check_frees(const char *name, bool (*free_block)(void *)) {
    static void *blocks[COUNT], *later[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = new_block((uint64_t)i);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(free_block(blocks[i]), "%s refuses block %d", name, i);
    }
    qsort(blocks, COUNT, sizeof *blocks, compare);
    int reused = 0;
    for (int i = 0; i < COUNT; i++) {
        later[i] = malloc(BYTES);
        reused += bsearch(&later[i], blocks, COUNT, sizeof *blocks, compare) != NULL;
    }
    CHECK(reused > COUNT / 2, "%s has freed no more than %d blocks of %d", name, reused, COUNT);
    for (int i = 0; i < COUNT; i++) {
        free(later[i]);
    }
}

static bool by_heap_free(void *block) { return HeapFree(heap, 0, block) == TRUE; }
static bool by_local_free(void *block) { return LocalFree(block) == NULL; }
static bool by_global_free(void *block) { return GlobalFree(block) == NULL; }
static bool by_task_memory(void *block) {
    CoTaskMemFree(block);
    return true;
}
static bool by_unicode_string(void *block) {
    UNICODE_STRING string = {BYTES, BYTES, block};
    RtlFreeUnicodeString(&string);
    return string.Buffer == NULL && string.Length == 0;
}
static bool by_sid(void *block) { return FreeSid(block) == NULL; }

static heap_free found_free;
static bool by_found_free(void *block) { return found_free(heap, 0, block) & 1; }

/* Functions that only look at a block. */
static void check_answers(void *block) {
    size_t size = HeapSize(heap, 0, block);
    CHECK(size >= BYTES && size != (size_t)-1, "HeapSize answers %zu", size);
    size_t local = LocalSize(block), global = GlobalSize(block);
    CHECK(local == size, "LocalSize answers %zu", local);
    CHECK(global == size, "GlobalSize answers %zu", global);
    CHECK(HeapValidate(heap, 0, block), "HeapValidate does not know the block");
    CHECK(LocalHandle(block) == block, "LocalHandle answers %p", LocalHandle(block));
    CHECK(GlobalHandle(block) == block, "GlobalHandle answers %p", GlobalHandle(block));
    CHECK(LocalFlags(block) == 0, "LocalFlags answers %x", LocalFlags(block));
    CHECK(GlobalFlags(block) == 0, "GlobalFlags answers %x", GlobalFlags(block));
    CHECK(LocalLock(block) == block && GlobalLock(block) == block, "the block cannot be locked");
}

static void check_growth(heap_realloc resize) {
    unsigned char *block = new_block(5);
    block = resize(heap, HEAP_ZERO_MEMORY, block, 50 * BYTES);
    CHECK(block && intact(block, BYTES, 5) == BYTES, "HeapReAlloc has changed the contents");
    CHECK(in_current_heap(block), "the block has left mimalloc");
    CHECK(HeapFree(heap, 0, block), "the block cannot be freed");
    block = new_block(6);
    block = LocalReAlloc(block, 50 * BYTES, LMEM_MOVEABLE);
    CHECK(block && intact(block, BYTES, 6) == BYTES, "LocalReAlloc has changed the contents");
    CHECK(LocalFree(block) == NULL, "LocalFree refuses the block");
}

/* The contents of a block of the program's that the system adopts as the environment. */
static void check_environment(void) {
    LONG(WINAPI * set_current)(void *, void **) =
        exported(GetModuleHandleA("ntdll.dll"), "RtlSetCurrentEnvironment");
    static const wchar_t variables[] = L"A=1\0B=two\0";
    void *environment = malloc(sizeof variables), *former = NULL;
    memcpy(environment, variables, sizeof variables);
    set_current(environment, &former);
    char value[16] = "";
    GetEnvironmentVariableA("B", value, sizeof value);
    CHECK(!strcmp(value, "two"), "the environment has %s", value);
    CHECK(SetEnvironmentVariableA("C", "a value that makes the environment grow"), "error %lu",
          GetLastError());
    void *mine = NULL;
    set_current(former, &mine);
    LONG(WINAPI * destroy)(void *) =
        exported(GetModuleHandleA("ntdll.dll"), "RtlDestroyEnvironment");
    destroy(mine);
}

int main(void) {
    heap = GetProcessHeap();
    HMODULE kernel = GetModuleHandleA("kernel32.dll"), native = GetModuleHandleA("ntdll.dll");
    heap_free found_before = exported(kernel, "HeapFree");
    void *before = new_block(1), *grown_before = new_block(2);
    meet_harness();
    CHECK(in_current_heap(new_block(3)), "malloc is not mimalloc's");
    check_answers(before);
    check_answers(new_block(4));
    check_growth((heap_realloc)(void *)HeapReAlloc);
    check_growth((heap_realloc)exported(kernel, "HeapReAlloc"));
    check_growth((heap_realloc)exported(native, "RtlReAllocateHeap"));
    heap_size found_size = exported(kernel, "HeapSize");
    /* After an early takeover it is a block of `malloc`'s too, which may have more room. */
    size_t size = found_size(heap, 0, grown_before);
    CHECK(owned(grown_before) ? size >= BYTES : size == BYTES, "its size is %zu", size);
    grown_before = HeapReAlloc(heap, 0, grown_before, 3 * BYTES);
    CHECK(grown_before && intact(grown_before, BYTES, 2) == BYTES, "a block from before changed");
    CHECK(by_heap_free(grown_before) && by_heap_free(before), "blocks from before stay");
    check_frees("HeapFree", by_heap_free);
    check_frees("LocalFree", by_local_free);
    check_frees("GlobalFree", by_global_free);
    check_frees("CoTaskMemFree", by_task_memory);
    check_frees("RtlFreeUnicodeString", by_unicode_string);
    check_frees("FreeSid", by_sid);
    found_free = found_before;
    check_frees("kernel32's HeapFree, found before", by_found_free);
    found_free = exported(kernel, "HeapFree");
    check_frees("kernel32's HeapFree, found later", by_found_free);
    found_free = exported(GetModuleHandleA("kernelbase.dll"), "HeapFree");
    check_frees("kernelbase's HeapFree, found later", by_found_free);
    found_free = exported(native, "RtlFreeHeap");
    check_frees("RtlFreeHeap, found later", by_found_free);
    check_environment();
    CHECK(HeapValidate(heap, 0, NULL), "the heap is damaged");
    return verdict();
}
