// build: args -fno-builtin -lntdll -lole32 -ladvapi32
/* Blocks of the C runtime and of the heap API, given to every function of the system that takes a
 * block of the process's heap from its caller: each must be taken, and its memory must come back.
 * Blocks from before the module came are given too. */

#include "support.h"
#include <malloc.h>
#include <objbase.h>
#include <stdlib.h>

enum { SIZE_OF_BLOCK = 2600, ROUNDS = 400, MOST_ADDRESSES = ROUNDS / 4 };

/* What ntdll exports and the headers lack. */
struct counted_string {
    USHORT length, maximum;
    void *buffer;
};
ULONG WINAPI RtlFreeHeap(HANDLE, ULONG, void *);
void *WINAPI RtlReAllocateHeap(HANDLE, ULONG, void *, SIZE_T);
void WINAPI RtlFreeUnicodeString(struct counted_string *);
void WINAPI RtlFreeAnsiString(struct counted_string *);
void WINAPI RtlFreeOemString(struct counted_string *);
NTSTATUS WINAPI RtlDestroyEnvironment(void *);
NTSTATUS WINAPI RtlDestroyProcessParameters(void *);
NTSTATUS WINAPI RtlDeleteSecurityObject(void **);
void WINAPI RtlSetCurrentEnvironment(void *, void **);

static HANDLE heap;

static void *from_malloc(void) { return malloc(SIZE_OF_BLOCK); }
static void *from_calloc(void) { return calloc(1, SIZE_OF_BLOCK); }
static void *from_realloc(void) { return realloc(malloc(10), SIZE_OF_BLOCK); }
static void *from_heap(void) { return HeapAlloc(heap, 0, SIZE_OF_BLOCK); }
static void *from_heap_realloc(void) {
    return HeapReAlloc(heap, 0, HeapAlloc(heap, 0, 10), SIZE_OF_BLOCK);
}

/* The first ones are the C runtime's, which has its blocks in the process's heap. */
static void *(*const sources[])(void) = {from_malloc, from_calloc, from_realloc, from_heap,
                                         from_heap_realloc};
enum { SOURCES = COUNT_OF(sources), OF_THE_RUNTIME = 3 };

typedef BOOL(WINAPI *free_fn)(HANDLE, DWORD, void *);

static bool looked_up(const char *module, const char *name, void *block) {
    free_fn function = exported(GetModuleHandleA(module), name);
    return !function || (function(heap, 0, block) & 0xFF) != 0;
}

static bool to_string(void(WINAPI *function)(struct counted_string *), void *block) {
    struct counted_string string = {2, 4, block};
    function(&string);
    return !string.buffer && !string.length;
}

/* The environment is this block for a moment, in which ntdll makes it longer. */
static bool to_environment(void *block) {
    static const wchar_t content[] = L"NAME=value\0";
    char value[10] = "", other[10] = "";
    void *former = NULL, *replaced = NULL;
    memcpy(block, content, sizeof content);
    RtlSetCurrentEnvironment(block, &former);
    GetEnvironmentVariableA("NAME", value, sizeof value);
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "LONGER%d", i);
        SetEnvironmentVariableA(name, "0123456789012345678901234567890123456789");
    }
    SetEnvironmentVariableA("OTHER", "too");
    GetEnvironmentVariableA("OTHER", other, sizeof other);
    RtlSetCurrentEnvironment(former, &replaced);
    RtlDestroyEnvironment(replaced);
    return !strcmp(value, "value") && !strcmp(other, "too");
}

#define SINK(name, condition)                                                                      \
    static bool name(void *block) { return condition; }
SINK(to_heap_free, HeapFree(heap, 0, block) == TRUE)
SINK(to_rtl_free, (RtlFreeHeap(heap, 0, block) & 0xFF) == TRUE)
SINK(to_kernel32, looked_up("kernel32.dll", "HeapFree", block))
SINK(to_kernelbase, looked_up("kernelbase.dll", "HeapFree", block))
SINK(to_ntdll, looked_up("ntdll.dll", "RtlFreeHeap", block))
SINK(to_local_free, LocalFree(block) == NULL)
SINK(to_global_free, GlobalFree(block) == NULL)
SINK(to_task_free, (CoTaskMemFree(block), true))
SINK(to_environment_strings, FreeEnvironmentStringsW(block))
SINK(to_unicode_string, to_string(RtlFreeUnicodeString, block))
SINK(to_ansi_string, to_string(RtlFreeAnsiString, block))
SINK(to_oem_string, to_string(RtlFreeOemString, block))
SINK(to_sid, (FreeSid(block), true))
SINK(to_destroy_environment, RtlDestroyEnvironment(block) == 0)
SINK(to_parameters, (memset(block, 0, SIZE_OF_BLOCK), RtlDestroyProcessParameters(block), true))
SINK(to_security_object, RtlDeleteSecurityObject(&block) == 0)
SINK(to_heap_realloc, HeapFree(heap, 0, HeapReAlloc(heap, 0, block, 2 * SIZE_OF_BLOCK)))
SINK(to_rtl_realloc, HeapFree(heap, 0, RtlReAllocateHeap(heap, 0, block, 2 * SIZE_OF_BLOCK)))
SINK(to_local_realloc, !LocalFree(LocalReAlloc(block, 2 * SIZE_OF_BLOCK, LMEM_MOVEABLE)))
SINK(to_global_realloc, !GlobalFree(GlobalReAlloc(block, 2 * SIZE_OF_BLOCK, GMEM_MOVEABLE)))
SINK(to_task_realloc, CoTaskMemRealloc(block, 0) == NULL)

static const struct sink {
    const char *name;
    bool (*give)(void *block);
} sinks[] = {
    {"HeapFree", to_heap_free},
    {"RtlFreeHeap", to_rtl_free},
    {"kernel32's HeapFree, looked up", to_kernel32},
    {"kernelbase's HeapFree, looked up", to_kernelbase},
    {"RtlFreeHeap, looked up", to_ntdll},
    {"LocalFree", to_local_free},
    {"GlobalFree", to_global_free},
    {"CoTaskMemFree", to_task_free},
    {"FreeEnvironmentStringsW", to_environment_strings},
    {"RtlFreeUnicodeString", to_unicode_string},
    {"RtlFreeAnsiString", to_ansi_string},
    {"RtlFreeOemString", to_oem_string},
    {"FreeSid", to_sid},
    {"RtlDestroyEnvironment", to_destroy_environment},
    {"RtlSetCurrentEnvironment", to_environment},
    {"RtlDestroyProcessParameters", to_parameters},
    {"RtlDeleteSecurityObject", to_security_object},
    {"HeapReAlloc", to_heap_realloc},
    {"RtlReAllocateHeap", to_rtl_realloc},
    {"LocalReAlloc", to_local_realloc},
    {"GlobalReAlloc", to_global_realloc},
    {"CoTaskMemRealloc", to_task_realloc},
};

/* Memory that comes back is handed out again: there are few addresses. */
static void give_again_and_again(const struct sink *sink, int source) {
    static void *seen[ROUNDS];
    int addresses = 0;
    for (int round = 0; round < ROUNDS; round++) {
        void *block = sources[source]();
        CHECK(in_current_heap(block), "source %d does not come from mimalloc", source);
        fill(block, SIZE_OF_BLOCK, (uint64_t)round);
        int i = 0;
        while (i < addresses && seen[i] != block) {
            i++;
        }
        if (i == addresses) {
            seen[addresses++] = block;
        }
        CHECK(sink->give(block), "%s did not take a block of source %d", sink->name, source);
    }
    CHECK(addresses <= MOST_ADDRESSES, "%s kept %d blocks of source %d", sink->name, addresses,
          source);
}

static void ask(int source) {
    void *block = sources[source]();
    size_t size = HeapSize(heap, 0, block);
    bool exact = source >= OF_THE_RUNTIME || !taken_over();
    CHECK(exact ? size == SIZE_OF_BLOCK : size >= SIZE_OF_BLOCK, "HeapSize %zu of source %d", size,
          source);
    CHECK(HeapValidate(heap, 0, block), "HeapValidate of source %d", source);
    CHECK(LocalHandle(block) == block && GlobalHandle(block) == block, "handles of source %d",
          source);
    CHECK(LocalFlags(block) == 0 && GlobalFlags(block) == 0, "flags of source %d", source);
    CHECK(LocalSize(block) == size && GlobalSize(block) == size, "sizes of source %d", source);
    HeapFree(heap, 0, block);
}

int main(void) {
    static void *before[COUNT_OF(sinks)][SOURCES];
    heap = GetProcessHeap();
    /* Wine's C runtime has a heap of its own: its blocks are no business of these functions, unless
     * they are mimalloc's. */
    bool shared = (HANDLE)_get_heap_handle() == heap;
    int first_before = shared || taken_over() ? 0 : OF_THE_RUNTIME;
    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        for (int source = first_before; source < SOURCES; source++) {
            before[i][source] = sources[source]();
        }
    }
    meet_harness();
    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        for (int source = first_before; source < SOURCES; source++) {
            CHECK(sinks[i].give(before[i][source]), "%s did not take an old block of source %d",
                  sinks[i].name, source);
        }
        for (int source = shared || taken_over() ? 0 : OF_THE_RUNTIME; source < SOURCES; source++) {
            give_again_and_again(&sinks[i], source);
        }
    }
    for (int source = shared || taken_over() ? 0 : OF_THE_RUNTIME; source < SOURCES; source++) {
        ask(source);
    }
    CHECK(HeapValidate(heap, 0, NULL), "the heap is damaged");
    return verdict();
}
