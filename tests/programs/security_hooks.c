// build: shared
// build: args -fno-builtin
/* Does to a process what endpoint security does: redirects functions of ntdll by jumps over their
 * first bytes, and allocates from the process's heap whenever one is called. hooked_storm.c loads
 * it. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define HOOKS(hook)                                                                                \
    hook(0, NtProtectVirtualMemory) hook(1, NtQueryVirtualMemory) hook(2, NtSuspendThread)         \
        hook(3, NtGetContextThread) hook(4, NtResumeThread)

enum { HOOKED = 5, JUMP = 5, CODE_SIZE = 64, PAGE = 4096 };

/* What one hook needs. `original` goes on in the function behind the jump. */
static struct hook {
    const char *name;
    void *replacement;
    void *original;
    volatile LONG calls;
} hooks[HOOKED];

static DWORD inside = TLS_OUT_OF_INDEXES;

/* A call of a hooked function, with its record: in a small block, and one so large that the heap's
 * lock is taken for it. Nothing is recorded about what the record itself calls. */
struct record {
    void *blocks[2];
};

static struct record begin(int index) {
    struct record record = {{NULL, NULL}};
    if (!TlsGetValue(inside)) {
        TlsSetValue(inside, &record);
        InterlockedIncrement(&hooks[index].calls);
        size_t sizes[2] = {40, 20000};
        for (int i = 0; i < 2; i++) {
            record.blocks[i] = HeapAlloc(GetProcessHeap(), 0, sizes[i]);
            if (record.blocks[i]) {
                memset(record.blocks[i], index + 1, sizes[i]);
            }
        }
        TlsSetValue(inside, NULL);
    }
    return record;
}

static LONG end(struct record record, LONG status) {
    for (int i = 0; i < 2; i++) {
        if (record.blocks[i]) {
            HeapFree(GetProcessHeap(), 0, record.blocks[i]);
        }
    }
    return status;
}

#define RECORDED(index, type, ...)                                                                 \
    struct record record = begin(index);                                                           \
    return end(record, ((LONG(WINAPI *) type)hooks[index].original)(__VA_ARGS__))

static LONG WINAPI hooked_NtProtectVirtualMemory(HANDLE process, void **address, SIZE_T *size,
                                                 ULONG protection, ULONG *former) {
    RECORDED(0, (HANDLE, void **, SIZE_T *, ULONG, ULONG *), process, address, size, protection,
             former);
}

static LONG WINAPI hooked_NtQueryVirtualMemory(HANDLE process, void *address, int class, void *data,
                                               SIZE_T size, SIZE_T *used) {
    RECORDED(1, (HANDLE, void *, int, void *, SIZE_T, SIZE_T *), process, address, class, data,
             size, used);
}

static LONG WINAPI hooked_NtSuspendThread(HANDLE thread, ULONG *count) {
    RECORDED(2, (HANDLE, ULONG *), thread, count);
}

static LONG WINAPI hooked_NtGetContextThread(HANDLE thread, CONTEXT *context) {
    RECORDED(3, (HANDLE, CONTEXT *), thread, context);
}

static LONG WINAPI hooked_NtResumeThread(HANDLE thread, ULONG *count) {
    RECORDED(4, (HANDLE, ULONG *), thread, count);
}

/* A page of code that a jump of 5 bytes at `target` reaches. */
static unsigned char *page_near(unsigned char *target) {
    const uintptr_t step = 0x10000, reach = 0x7FF00000;
    uintptr_t from = (uintptr_t)target & ~(step - 1);
    for (uintptr_t distance = step; distance < reach && distance < from; distance += step) {
        void *page = VirtualAlloc((void *)(from - distance), PAGE, MEM_RESERVE | MEM_COMMIT,
                                  PAGE_EXECUTE_READWRITE);
        if (page) {
            return page;
        }
    }
    return NULL;
}

static unsigned char *write_jump(unsigned char *at, const void *target) {
    int32_t distance = (int32_t)((intptr_t)target - (intptr_t)(at + JUMP));
    at[0] = 0xE9;
    memcpy(at + 1, &distance, sizeof distance);
    return at + JUMP;
}

/* A jump that reaches everything. */
static unsigned char *write_far_jump(unsigned char *at, const void *target) {
#if defined(_WIN64)
    static const unsigned char code[] = {0xFF, 0x25, 0, 0, 0, 0};
    memcpy(at, code, sizeof code);
    memcpy(at + sizeof code, &target, sizeof target);
    return at + sizeof code + sizeof target;
#else
    return write_jump(at, target);
#endif
}

/* Writes to `code` how to call the function at `entry` as if it had no jump. False if it does not
 * begin as the system's calls do: these are moved, they do not depend on where they are. Where
 * another tool has redirected it already, its function is called. */
static bool write_original(unsigned char *code, const unsigned char *entry) {
#if defined(_WIN64)
    /* mov r10, rcx; mov eax, number */
    static const unsigned char begins[] = {0x4C, 0x8B, 0xD1, 0xB8};
    enum { MOVED = 8 };
#else
    /* mov eax, number */
    static const unsigned char begins[] = {0xB8};
    enum { MOVED = 5 };
#endif
    if (memcmp(entry, begins, sizeof begins) == 0) {
        memcpy(code, entry, MOVED);
        write_far_jump(code + MOVED, entry + MOVED);
        return true;
    }
    if (entry[0] == 0xE9) {
        int32_t distance;
        memcpy(&distance, entry + 1, sizeof distance);
        write_far_jump(code, entry + JUMP + distance);
        return true;
    }
    return false;
}

static bool redirect(struct hook *hook, unsigned char *entry, unsigned char *code) {
    if (!write_original(code, entry)) {
        return false;
    }
    hook->original = code;
    unsigned char *relay = code + CODE_SIZE / 2;
    write_far_jump(relay, hook->replacement);
    DWORD former;
    if (!VirtualProtect(entry, JUMP, PAGE_EXECUTE_READWRITE, &former)) {
        return false;
    }
    write_jump(entry, relay);
    VirtualProtect(entry, JUMP, former, &former);
    FlushInstructionCache(GetCurrentProcess(), entry, JUMP);
    return true;
}

/* Redirects the functions, when no other thread is at work. Returns how many; less than HOOKED
 * means that `why` has the reason. */
__declspec(dllexport) int install_hooks(char *why, size_t size) {
    HMODULE ntdll = GetModuleHandleA("ntdll.dll");
    unsigned char *page = page_near((unsigned char *)GetProcAddress(ntdll, "NtSuspendThread"));
    inside = TlsAlloc();
    if (!page || inside == TLS_OUT_OF_INDEXES) {
        snprintf(why, size, "no memory near ntdll for the hooks: error %lu", GetLastError());
        return 0;
    }
#define NAMED(index, function)                                                                     \
    hooks[index].name = #function;                                                                 \
    hooks[index].replacement = (void *)hooked_##function;
    HOOKS(NAMED)
    for (int i = 0; i < HOOKED; i++) {
        unsigned char *entry = (unsigned char *)GetProcAddress(ntdll, hooks[i].name);
        if (!entry || !redirect(&hooks[i], entry, page + i * CODE_SIZE)) {
            const unsigned char none[4] = {0}, *first = entry ? entry : none;
            snprintf(why, size, "%s cannot be hooked (it begins with %02X %02X %02X %02X)",
                     hooks[i].name, first[0], first[1], first[2], first[3]);
            return i;
        }
    }
    return HOOKED;
}

/* How often the function with this number was called, and its name; NULL behind the last. */
__declspec(dllexport) const char *hook_calls(int index, LONG *calls) {
    if (index >= HOOKED) {
        return NULL;
    }
    *calls = hooks[index].calls;
    return hooks[index].name;
}
