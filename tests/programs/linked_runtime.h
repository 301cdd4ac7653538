/* A C runtime that is linked into the program: its heap functions, written as those of the static
 * Universal CRT are, on the heap API. The heap's handle is in a global variable, and `errno`, the
 * new handler and the new mode are this runtime's own.
 *
 * Include `windows.h` or `no_crt.h` first. With RUNTIME_HAS_OWN_HEAP the runtime makes a heap of
 * its own by HeapCreate, as those of Visual C++ 2005 to 2010 do. Call `start_linked_runtime` before
 * anything else. */

#ifndef ALLOGRAFT_TEST_LINKED_RUNTIME_H
#define ALLOGRAFT_TEST_LINKED_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifndef _WINDOWS_
#define HEAP_ZERO_MEMORY 8ul
#define HEAP_REALLOC_IN_PLACE_ONLY 0x10ul
#define ERROR_NOT_ENOUGH_MEMORY 8
__declspec(dllimport) HANDLE __stdcall GetProcessHeap(void);
__declspec(dllimport) HANDLE __stdcall HeapCreate(unsigned long, size_t, size_t);
__declspec(dllimport) int __stdcall HeapDestroy(HANDLE);
__declspec(dllimport) void *__stdcall HeapAlloc(HANDLE, unsigned long, size_t);
__declspec(dllimport) void *__stdcall HeapReAlloc(HANDLE, unsigned long, void *, size_t);
__declspec(dllimport) int __stdcall HeapFree(HANDLE, unsigned long, void *);
__declspec(dllimport) size_t __stdcall HeapSize(HANDLE, unsigned long, const void *);
__declspec(dllimport) int __stdcall HeapValidate(HANDLE, unsigned long, const void *);
__declspec(dllimport) unsigned long __stdcall TlsAlloc(void);
__declspec(dllimport) void *__stdcall TlsGetValue(unsigned long);
__declspec(dllimport) int __stdcall TlsSetValue(unsigned long, void *);
__declspec(dllimport) unsigned long __stdcall GetLastError(void);
__declspec(dllimport) void __stdcall SetLastError(unsigned long);
#endif

/* As a compiler of a program would not have it: functions that stay functions, each with its own
 * reference to the heap's handle. */
#define LINKED __attribute__((noinline, unused)) static

enum { LINKED_EINVAL = 22, LINKED_ENOMEM = 12 };

#define LINKED_LARGEST_REQUEST (SIZE_MAX - 0x1F)

static HANDLE linked_heap;
static unsigned long linked_errno_index;
static int (*volatile linked_new_handler)(size_t);
static volatile int linked_new_mode;

LINKED void set_linked_errno(int number) {
    unsigned long last_error = GetLastError();
    TlsSetValue(linked_errno_index, (void *)(intptr_t)number);
    SetLastError(last_error);
}

LINKED int linked_errno(void) {
    unsigned long last_error = GetLastError();
    int number = (int)(intptr_t)TlsGetValue(linked_errno_index);
    SetLastError(last_error);
    return number;
}

LINKED void start_linked_runtime(void) {
    linked_errno_index = TlsAlloc();
#ifdef RUNTIME_HAS_OWN_HEAP
    linked_heap = HeapCreate(0, 0x1000, 0);
#else
    linked_heap = GetProcessHeap();
#endif
}

/* What a runtime does at its end. */
LINKED int end_linked_runtime(void) {
#ifdef RUNTIME_HAS_OWN_HEAP
    return HeapDestroy(linked_heap);
#else
    return 1;
#endif
}

static inline int linked_error_of(unsigned long error) {
    return error == ERROR_NOT_ENOUGH_MEMORY ? LINKED_ENOMEM : LINKED_EINVAL;
}

/* Whether the new handler wants another try. */
__attribute__((cold)) LINKED int linked_try_again(size_t size) {
    int (*handler)(size_t) = linked_new_handler;
    return linked_new_mode && handler && handler(size);
}

LINKED void *linked_malloc(size_t size) {
    if (size <= LINKED_LARGEST_REQUEST) {
        size_t actual = size ? size : 1;
        do {
            void *block = HeapAlloc(linked_heap, 0, actual);
            if (block) {
                return block;
            }
        } while (linked_try_again(actual));
    }
    set_linked_errno(LINKED_ENOMEM);
    return NULL;
}

LINKED void *linked_calloc(size_t count, size_t size) {
    if (count == 0 || size <= LINKED_LARGEST_REQUEST / count) {
        size_t actual = count * size ? count * size : 1;
        do {
            void *block = HeapAlloc(linked_heap, HEAP_ZERO_MEMORY, actual);
            if (block) {
                return block;
            }
        } while (linked_try_again(actual));
    }
    set_linked_errno(LINKED_ENOMEM);
    return NULL;
}

LINKED void linked_free(void *block) {
    if (block && !HeapFree(linked_heap, 0, block)) {
        set_linked_errno(linked_error_of(GetLastError()));
    }
}

LINKED void *linked_realloc(void *block, size_t size) {
    if (!block) {
        return linked_malloc(size);
    }
    if (size == 0) {
        linked_free(block);
        return NULL;
    }
    if (size <= LINKED_LARGEST_REQUEST) {
        do {
            void *resized = HeapReAlloc(linked_heap, 0, block, size);
            if (resized) {
                return resized;
            }
        } while (linked_try_again(size));
    }
    set_linked_errno(LINKED_ENOMEM);
    return NULL;
}

LINKED size_t linked_msize(void *block) {
    if (!block) {
        set_linked_errno(LINKED_EINVAL);
        return (size_t)-1;
    }
    return HeapSize(linked_heap, 0, block);
}

/* Zeroes what it adds, counted from what HeapSize answers. */
LINKED void *linked_recalloc(void *block, size_t count, size_t size) {
    if (count && size > LINKED_LARGEST_REQUEST / count) {
        set_linked_errno(LINKED_ENOMEM);
        return NULL;
    }
    size_t old = block ? linked_msize(block) : 0, new = count *size;
    unsigned char *resized = linked_realloc(block, new);
    for (size_t i = old; resized && i < new; i++) {
        ((volatile unsigned char *)resized)[i] = 0;
    }
    return resized;
}

LINKED void *linked_expand(void *block, size_t size) {
    if (!block) {
        set_linked_errno(LINKED_EINVAL);
        return NULL;
    }
    if (size > LINKED_LARGEST_REQUEST) {
        set_linked_errno(LINKED_ENOMEM);
        return NULL;
    }
    size_t old = HeapSize(linked_heap, 0, block);
    void *resized = HeapReAlloc(linked_heap, HEAP_REALLOC_IN_PLACE_ONLY, block, size ? size : 1);
    if (resized || size <= old) {
        return block;
    }
    set_linked_errno(linked_error_of(GetLastError()));
    return NULL;
}

/* The address of the block itself is kept before an aligned one. */
LINKED void *linked_aligned_malloc(size_t size, size_t alignment) {
    if (!alignment || (alignment & (alignment - 1))) {
        set_linked_errno(LINKED_EINVAL);
        return NULL;
    }
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    size_t more = sizeof(void *) + alignment - 1;
    char *block = size + more < size ? NULL : linked_malloc(size + more);
    if (!block) {
        set_linked_errno(LINKED_ENOMEM);
        return NULL;
    }
    void **aligned = (void **)(((uintptr_t)block + more) & ~(uintptr_t)(alignment - 1));
    aligned[-1] = block;
    return aligned;
}

LINKED void *linked_aligned_realloc(void *aligned, size_t size, size_t alignment) {
    char *resized = linked_aligned_malloc(size, alignment);
    if (aligned && resized) {
        char *block = ((void **)aligned)[-1];
        size_t old = linked_msize(block) - (size_t)((char *)aligned - block);
        for (size_t i = 0; i < old && i < size; i++) {
            resized[i] = ((char *)aligned)[i];
        }
        linked_free(block);
    }
    return resized;
}

LINKED void linked_aligned_free(void *aligned) {
    linked_free(aligned ? ((void **)aligned)[-1] : NULL);
}

LINKED char *linked_strdup(const char *text) {
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    char *copy = linked_malloc(length + 1);
    for (size_t i = 0; copy && i <= length; i++) {
        copy[i] = text[i];
    }
    return copy;
}

#endif
