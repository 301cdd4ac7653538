/* The heap functions of the programs of the bench. Include it last: the names are macros.
 *
 * The baseline (BENCH_BASELINE) calls the linked mimalloc directly. Programs with a runtime linked
 * in (BENCH_RUNTIME_LINKED_IN) call functions of their own, which call HeapAlloc and its kin
 * through the import table. Every other build calls the C runtime through its import table, as code
 * of Microsoft's compiler does; MinGW's compiler would add a jump, which the programs that the
 * module is for do not have. */

#ifndef ALLOGRAFT_BENCH_HEAP_H
#define ALLOGRAFT_BENCH_HEAP_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#if defined(BENCH_BASELINE)

#if defined(__cplusplus)
#include <mimalloc-new-delete.h>
#else
#include <mimalloc.h>
#endif

#define malloc(size) mi_malloc(size)
#define calloc(count, size) mi_calloc(count, size)
#define realloc(block, size) mi_realloc(block, size)
#define free(block) mi_free(block)
#define _msize(block) mi_usable_size(block)
#define _aligned_malloc(size, alignment) mi_malloc_aligned(size, alignment)
#define _aligned_free(block) mi_free(block)
#define _strdup(text) mi_strdup(text)

#elif defined(BENCH_RUNTIME_LINKED_IN)

#if defined(BENCH_LAYERED)

/* The linked mimalloc in the place of the system's heap functions, called as they are: through
 * pointers that the compiler does not know. Block sizes are mimalloc's. */

#include <mimalloc.h>
#include <windows.h>

static void *WINAPI layered_allocate(HANDLE heap, DWORD flags, SIZE_T size) {
    (void)heap;
    return flags & HEAP_ZERO_MEMORY ? mi_zalloc(size) : mi_malloc(size);
}

static BOOL WINAPI layered_free(HANDLE heap, DWORD flags, void *block) {
    (void)heap, (void)flags;
    mi_free(block);
    return TRUE;
}

static void *WINAPI layered_reallocate(HANDLE heap, DWORD flags, void *block, SIZE_T size) {
    (void)heap;
    return flags & HEAP_REALLOC_IN_PLACE_ONLY ? mi_expand(block, size) : mi_realloc(block, size);
}

static SIZE_T WINAPI layered_size(HANDLE heap, DWORD flags, const void *block) {
    (void)heap, (void)flags;
    return mi_usable_size(block);
}

static void *(WINAPI *volatile layered_HeapAlloc)(HANDLE, DWORD, SIZE_T) = layered_allocate;
static BOOL(WINAPI *volatile layered_HeapFree)(HANDLE, DWORD, void *) = layered_free;
static void *(WINAPI *volatile layered_HeapReAlloc)(HANDLE, DWORD, void *,
                                                    SIZE_T) = layered_reallocate;
static SIZE_T(WINAPI *volatile layered_HeapSize)(HANDLE, DWORD, const void *) = layered_size;

#define HeapAlloc layered_HeapAlloc
#define HeapFree layered_HeapFree
#define HeapReAlloc layered_HeapReAlloc
#define HeapSize layered_HeapSize

#endif

#include "../../tests/programs/linked_runtime.h"

#define malloc(size) linked_malloc(size)
#define calloc(count, size) linked_calloc(count, size)
#define realloc(block, size) linked_realloc(block, size)
#define free(block) linked_free(block)
#define _msize(block) linked_msize(block)
#define _aligned_malloc(size, alignment) linked_aligned_malloc(size, alignment)
#define _aligned_free(block) linked_aligned_free(block)
#define _strdup(text) linked_strdup(text)

#else

#if defined(__cplusplus)
extern "C" {
#endif
extern void *(*__imp_malloc)(size_t);
extern void *(*__imp_calloc)(size_t, size_t);
extern void *(*__imp_realloc)(void *, size_t);
extern void (*__imp_free)(void *);
extern size_t (*__imp__msize)(void *);
extern void *(*__imp__aligned_malloc)(size_t, size_t);
extern void (*__imp__aligned_free)(void *);
extern char *(*__imp__strdup)(const char *);
#if defined(__cplusplus)
}
#endif

#define malloc(size) __imp_malloc(size)
#define calloc(count, size) __imp_calloc(count, size)
#define realloc(block, size) __imp_realloc(block, size)
#define free(block) __imp_free(block)
#define _msize(block) __imp__msize(block)
#define _aligned_malloc(size, alignment) __imp__aligned_malloc(size, alignment)
#define _aligned_free(block) __imp__aligned_free(block)
#define _strdup(text) __imp__strdup(text)

#endif

#endif
