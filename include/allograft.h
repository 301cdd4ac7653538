/* The C interface of allograft's module (allograft.dll, allograft32.dll).
 *
 * A program does not need it: the takeover works without a word from the program. It is for
 * programs that show the state of their heap, and for tools. Link with the module's import library,
 * or ask GetProcAddress for the names. All functions can be called from any thread at any time
 * after the module was loaded.
 */
#ifndef ALLOGRAFT_H
#define ALLOGRAFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ALLOGRAFT_API
#define ALLOGRAFT_API __declspec(dllimport)
#endif

/* The module's version, "0.1.0". */
ALLOGRAFT_API const char *allograft_version(void);

/* 1 if the heap of at least one C runtime of the process is taken over, or the program's use of the
 * process's heap (HeapAlloc), else 0. */
ALLOGRAFT_API int allograft_active(void);

/* 1 if the pointer lies in memory of mimalloc's, 0 for every other pointer. Never faults. */
ALLOGRAFT_API int allograft_owns(const void *block);

/* Why the takeover failed, in one line of UTF-8; "" if it did not. The text stays valid. */
ALLOGRAFT_API const char *allograft_error(void);

/* Counters of the module. A foreign block is a block of the old heap, from before the takeover. */
typedef struct allograft_counters_s {
    size_t size; /* set it to sizeof(allograft_counters_t) before the call */
    uint64_t migrated_blocks; /* foreign blocks that moved to mimalloc when they were reallocated */
    uint64_t migrated_bytes; /* their sizes in the old heap, in bytes */
    uint64_t freed_blocks; /* foreign blocks that were freed */
    uint64_t freed_bytes; /* their sizes, in bytes */
    uint64_t resized_blocks; /* foreign blocks that were resized where they lie */
    uint64_t committed_bytes; /* memory that mimalloc has committed */
    uint64_t peak_committed_bytes; /* the peak of it */
    uint64_t used_bytes; /* the part that holds blocks or tables of mimalloc's */
} allograft_counters_t;

/* Fills the structure, as far as its size field reaches; the size field becomes the number of bytes
 * filled. Returns 1, or 0 if it cannot (NULL, a size that is too small, or the module did not
 * start). */
ALLOGRAFT_API int allograft_counters(allograft_counters_t *counters);

#ifdef __cplusplus
}
#endif

#endif
