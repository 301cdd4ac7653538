// The interface of the C side, as src/interface.rs and src/native.rs declare it in Rust.
#pragma once

#include <stddef.h>
#include <stdbool.h>

#define ALLOGRAFT_RUNTIMES 8

// What the entries leave to the engine. `crt` is the slot of the C runtime that was called.
typedef struct allograft_cold_s {
  void* (*allocate)(size_t size, bool zero,
                    unsigned crt); // mimalloc had no memory, or too large a size
  void* (*reallocate)(void* p, size_t size,
                      unsigned crt);            // NULL, size 0, a foreign block, or no memory
  void (*release)(void* p, unsigned crt);       // NULL or a foreign block
  size_t (*usable_size)(void* p, unsigned crt); // NULL or a foreign block
  void* (*allocate_aligned)(size_t size, size_t alignment,
                            unsigned crt);        // a bad alignment, or no memory
  void (*release_aligned)(void* p, unsigned crt); // NULL or a foreign block
} allograft_cold_t;

typedef struct allograft_entries_s {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  size_t (*msize)(void*);
  void* (*aligned_malloc)(size_t, size_t);
  void (*aligned_free)(void*);
} allograft_entries_t;

// Functions of the system's: stdcall, where that is not the only convention.
#define SYSTEM __stdcall

// The entries of the heap API, with the signatures of HeapAlloc and its kin.
typedef struct allograft_heap_api_entries_s {
  void*(SYSTEM* allocate)(void* heap, unsigned flags, size_t size);
  int(SYSTEM* free)(void* heap, unsigned flags, void* p);
  void*(SYSTEM* reallocate)(void* heap, unsigned flags, void* p, size_t size);
  void*(SYSTEM* reallocate_in_other_modules)(void* heap, unsigned flags, void* p, size_t size);
  size_t(SYSTEM* size)(void* heap, unsigned flags, const void* p);
} allograft_heap_api_entries_t;

// What they leave to the engine.
typedef struct allograft_heap_api_cold_s {
  // A heap that is not served, other flags, no memory, or too late.
  void*(SYSTEM* allocate)(void* heap, unsigned flags, size_t size);
  // NULL or a foreign block.
  int(SYSTEM* release)(void* heap, unsigned flags, void* p);
  // NULL, a foreign block, no memory or no room in place, or too late.
  void*(SYSTEM* reallocate)(void* heap, unsigned flags, void* p, size_t size, bool migrates);
  // NULL or a foreign block.
  size_t(SYSTEM* size)(void* heap, unsigned flags, const void* p);
} allograft_heap_api_cold_t;

// mimalloc's memory, in bytes.
typedef struct allograft_figures_s {
  size_t committed;
  size_t committed_peak;
  size_t used; // committed, without the pieces that hold nothing now
  size_t reserved;
  size_t reserved_peak;
  size_t threads; // threads that have allocated and not ended (a count)
} allograft_figures_t;

// Whether the process is ending (Rust).
bool allograft_process_ends(void);

// The compiler drops every other function that nothing here calls: most of mimalloc's interface.
#if defined(__clang__)
  #define VISIBLE
#else
  #define VISIBLE __attribute__((externally_visible))
#endif

extern const allograft_entries_t allograft_entries[ALLOGRAFT_RUNTIMES] VISIBLE;
extern const allograft_entries_t allograft_clean_entries[ALLOGRAFT_RUNTIMES] VISIBLE;
extern const allograft_entries_t allograft_exact_entries[ALLOGRAFT_RUNTIMES] VISIBLE;
extern const allograft_heap_api_entries_t allograft_heap_api_entries VISIBLE;

VISIBLE bool allograft_heap_start(const allograft_cold_t* cold_paths);
VISIBLE void allograft_heap_thread_done(void);
VISIBLE bool allograft_heap_is_too_late(void);
VISIBLE bool allograft_heap_owns(const void* p);
VISIBLE void allograft_heap_free(void* p);
VISIBLE void* allograft_heap_interior_aligned(size_t size, size_t alignment, size_t offset,
                                              bool exact);
VISIBLE bool allograft_heap_exchange_unmarked_interior_pointers(bool possible);
VISIBLE size_t allograft_heap_usable_size_of_aligned(void* p);
VISIBLE size_t allograft_heap_size_of_aligned(void* p);
VISIBLE void allograft_heap_free_aligned(void* p);
VISIBLE void allograft_heap_figures(allograft_figures_t* figures);
VISIBLE void allograft_heap_print_statistics(void);
#if MI_SECURE
// Whether the calling thread's part of the heap has keys that cannot be guessed.
VISIBLE bool allograft_heap_keys_are_strong(void);
#endif
#if defined(ALLOGRAFT_CHECK_FREES)
// Passes the text of what mimalloc finds to `print`, in pieces, and then the error to `mistake`.
VISIBLE void allograft_heap_report_mistakes(void (*print)(const char* text, void* unused),
                                            void (*mistake)(int error, void* unused));
#endif
#if defined(ALLOGRAFT_PUBLIC_API)
VISIBLE void allograft_heap_set_is_redirected(bool (*is_redirected)(void));
#endif

// Blocks that know the size that was asked for (exact.c).
VISIBLE bool allograft_heap_exact_start(void);
VISIBLE void* allograft_heap_exact_allocate(size_t size, bool zero);
VISIBLE void* allograft_heap_exact_allocate_aligned(size_t size, size_t alignment, size_t offset);
VISIBLE size_t allograft_heap_size(const void* p);
VISIBLE bool allograft_heap_resize_in_place(void* p, size_t size, bool zero);
VISIBLE void* allograft_heap_private_new(void);
VISIBLE void* allograft_heap_private_allocate(void* heap, size_t size, bool zero);
VISIBLE void allograft_heap_private_destroy(void* heap);

// The heap API (heap_api.c).
VISIBLE bool allograft_heap_api_start(const allograft_heap_api_cold_t* cold_paths,
                                      void* process_heap);
VISIBLE void allograft_heap_api_serve_second(void* handle, void* heap);

VISIBLE void* mi_malloc(size_t size);
VISIBLE void* mi_zalloc(size_t size);
VISIBLE void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset);
VISIBLE size_t mi_usable_size(const void* p);
VISIBLE int mi_version(void);
