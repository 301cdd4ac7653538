// The entry points that take the place of a C runtime's heap functions: everything that is hot is
// here.
//
// mimalloc is compiled into this file, so that its inlined paths continue the entries. Each entry
// looks a pointer up in mimalloc's page map once, and goes on with the page that it found. What is
// not the common case (a block of the old heap, a bad argument, no memory) goes to the engine,
// through `cold`. No counter, log or atomic read-modify-write belongs here.

#include "platform.h"
#include "static.c"
#include "entry.h"

static allograft_cold_t cold;

#define HOT static mi_decl_forceinline

// The bits of an address that user code can have, on all machines of Windows.
#define ADDRESS_BITS (sizeof(void*) == 4 ? 32 : 47)

// The page of a block of mimalloc's; NULL for NULL and for blocks of the old heap. Valid for any
// value: the page map is committed as a whole, for every user-mode address (see
// allograft_heap_start). What is none (0xDDDD..., a kernel address) lies behind the map, and is the
// old heap's affair.
HOT mi_page_t* page_of(const void* p) {
#if MI_PAGE_MAP_FLAT
  return _mi_checked_ptr_page(p);
#else
  size_t within;
  const size_t index = _mi_page_map_index(p, &within);
  const size_t map_entries = MI_ZU(1)
                             << (ADDRESS_BITS - MI_PAGE_MAP_SUB_SHIFT - MI_ARENA_SLICE_SHIFT);
  if (mi_unlikely(index >= map_entries)) return NULL;
  mi_submap_t const map = _mi_page_map_at(index);
  return mi_unlikely(map == NULL) ? NULL : map[within];
#endif
}

// C runtimes align all blocks to 16 bytes, or 8 on x86. mimalloc aligns a block of a single word to
// a word only.
#define BLOCK_ALIGNMENT (2 * sizeof(void*))

// `size` (not 0), rounded up to the alignment.
HOT size_t to_aligned_size(size_t size) { return ((size - 1) | (BLOCK_ALIGNMENT - 1)) + 1; }

// The page from which a small block of to_aligned_size(size) bytes comes. mimalloc has one for
// every number of words. The index of an even number of words takes fewer instructions to compute
// directly than to round the size up first.
HOT mi_page_t* small_page(mi_theap_t* theap, size_t size) {
  mi_page_t* const page =
      theap->pages_free_direct[(size - 1) / BLOCK_ALIGNMENT * 2 + 2 + MI_PADDING_WSIZE];
  mi_assert_internal(page ==
                     _mi_theap_get_free_small_page(theap, to_aligned_size(size) + MI_PADDING_SIZE));
  return page;
}

HOT size_t at_least_aligned(size_t size) {
  return (size < BLOCK_ALIGNMENT ? BLOCK_ALIGNMENT : size);
}

// `_recalloc` zeroes what it adds to a block, counted from the size that the program last asked
// for, and mimalloc knows the size of the block only. Where a program uses `_recalloc`, the rest of
// every block, its tail, is kept zero.
HOT void clean_tail(void* p, size_t size, size_t usable) {
  memset((uint8_t*)p + size, 0, usable - size);
}

// A successful call must leave the thread's last error alone; asking the system for memory may not.
#if defined(_WIN64)
  #define LAST_ERROR_OFFSET 0x68
#else
  #define LAST_ERROR_OFFSET 0x34
#endif
#define last_error (*(volatile DWORD*)((uint8_t*)NtCurrentTeb() + LAST_ERROR_OFFSET))

// After mimalloc has cleaned up for a thread, an allocation would start it again for that thread,
// with nothing to end it. When the process ends, its other threads are gone and may have held
// mimalloc's locks. In both cases the old heap serves.
HOT bool too_late_for_mimalloc(void) {
  return mi_unlikely(_mi_theap_default() == &_mi_theap_empty) ||
         mi_unlikely(allograft_process_ends());
}

static mi_decl_noinline void* allocate_generic(size_t size, bool zero, bool clean, unsigned crt) {
  if (too_late_for_mimalloc()) return cold.allocate(size, zero, crt);
  const DWORD error = last_error;
  const size_t padded = at_least_aligned(size);
  void* const p = (zero ? mi_zalloc(padded) : mi_malloc(padded));
  if (mi_unlikely(p == NULL)) return cold.allocate(size, zero, crt);
  if (clean && !zero) clean_tail(p, size, mi_usable_size(p));
  last_error = error;
  return p;
}

// The common case: a small block, from a page that has one free, and whose next one is aligned.
// NULL in all other cases.
HOT void* allocate_small_aligned(size_t size, size_t alignment, bool zero, bool clean) {
  mi_theap_t* const theap = _mi_theap_default();
  // A size of 0 wraps around to the largest number.
  if (mi_unlikely(theap == NULL) || mi_unlikely(size - 1 >= MI_SMALL_SIZE_MAX)) return NULL;
  mi_page_t* const page = small_page(theap, size);
  if (mi_unlikely(page->free == NULL)) return NULL;
  if (alignment > BLOCK_ALIGNMENT && mi_unlikely(((uintptr_t)page->free & (alignment - 1)) != 0))
    return NULL;
  void* const p =
      mi_page_malloc_zero(theap, page, to_aligned_size(size) + MI_PADDING_SIZE, zero, NULL);
  if (clean && !zero) clean_tail(p, size, _mi_usable_size(p, page));
  return p;
}

HOT void* allocate_small(size_t size, bool zero, bool clean) {
  return allocate_small_aligned(size, BLOCK_ALIGNMENT, zero, clean);
}

HOT void* allocate(size_t size, bool zero, bool clean, unsigned crt) {
  void* const p = allocate_small(size, zero, clean);
  return mi_likely(p != NULL) ? p : allocate_generic(size, zero, clean, crt);
}

HOT void* allocate_many(size_t count, size_t size, bool clean, unsigned crt) {
  size_t total;
  if (mi_unlikely(mi_count_size_overflow(count, size, &total))) {
    return cold.allocate(SIZE_MAX, true, crt);
  }
  return allocate(total, true, clean, crt);
}

// Whether the calling thread may free blocks of `page` without atomics: the page is its own, and
// neither full nor with interior pointers. Other threads may write the field meanwhile, but never
// this thread's id, so any value that was in it gives the right answer.
//
// On x86 the atomic field is read by a plain load, which the compiler can use as an operand of the
// comparison: one instruction less than an atomic load. Formally that is a data race. It does no
// harm: an aligned load of a pointer's size is atomic on these processors, and GCC and clang do not
// split it, nor repeat it, as the value is used once. Elsewhere a relaxed load costs nothing.
HOT bool is_own_page(const mi_page_t* page) {
#if MI_ARCH_X64 || MI_ARCH_X86
  return _mi_prim_thread_id() == *(const mi_threadid_t*)&page->xthread_id;
#else
  return _mi_prim_thread_id() == mi_atomic_load_relaxed(&page->xthread_id);
#endif
}

#define FREES_ITSELF                                                                               \
  (!MI_DEBUG && !MI_SECURE && !MI_PADDING && !MI_ENCODE_FREELIST && !MI_STAT &&                    \
   !MI_TRACK_ENABLED && !MI_GUARDED)

#if FREES_ITSELF
// Frees a block of a page of the calling thread. It does the same as mimalloc's `mi_free_ex`, but
// leaves the end of it to the caller: true if the page is to be retired now. There is one branch
// that is rarely taken in place of two. Whether a page becomes empty differs between sizes, so a
// program that frees blocks of several sizes in random order would often mispredict the first of
// the two, which costs as much as all the rest.
HOT bool release_in_own(mi_page_t* page, void* p) {
  mi_block_t* const block = (mi_block_t*)p;
  mi_block_set_next(page, block, page->local_free);
  page->local_free = block;
  const uint8_t empty = (--page->used == 0);
  // Empty, and not about to be retired yet.
  return empty > page->retire_expire;
}
#endif

// Any other block. Out of line, so that the entries need no frame.
static mi_decl_noinline void release_by_mimalloc(mi_page_t* page, void* p) {
  // A thread that was killed may have left the page's bit in the arena's map claimed, for which
  // mimalloc would wait for ever.
  if (mi_unlikely(mi_page_is_abandoned(page)) && mi_unlikely(allograft_process_ends())) return;
  mi_free_ex(p, NULL, page);
}

// Frees a block of `page`.
HOT void release_in(mi_page_t* page, void* p) {
#if FREES_ITSELF
  if (mi_likely(is_own_page(page))) {
    if (mi_unlikely(release_in_own(page, p))) _mi_page_retire(page);
    return;
  }
#endif
  release_by_mimalloc(page, p);
}

HOT void release(void* p, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_likely(page != NULL)) {
    release_in(page, p);
  }
  else {
    cold.release(p, crt);
  }
}

// Whether an aligned pointer may lie inside a block in a page that is not marked for interior
// pointers. mimalloc marks the pages in which it gave out such pointers, and finds the block's
// start there. But a thread that was inside the runtime's own `_aligned_malloc` when its `malloc`
// was taken over aligns a pointer in a plain block. Finding the start takes a division, so it is
// done only where other threads were suspended for the takeover.
static bool unmarked_interior_pointers;

HOT void* start_of_aligned(mi_page_t* page, void* p) {
  if (mi_likely(!unmarked_interior_pointers) || mi_page_has_interior_pointers(page)) return p;
  return (void*)_mi_page_ptr_unalign(page, p);
}

#include "exact.c"

static mi_decl_noinline void* move(void* p, mi_page_t* page, size_t size, bool clean,
                                   unsigned crt) {
  const DWORD error = last_error;
  const size_t usable = _mi_usable_size(p, page);
  void* moved = allocate_small(size, false, clean);
  if (mi_unlikely(moved == NULL)) {
    if (too_late_for_mimalloc()) return cold.reallocate(p, size, crt);
    moved = mi_malloc(at_least_aligned(size));
    if (mi_unlikely(moved == NULL)) return cold.reallocate(p, size, crt);
    if (clean) clean_tail(moved, size, mi_usable_size(moved));
  }
  _mi_memcpy(moved, p, usable < size ? usable : size);
  release_in(page, p);
  last_error = error;
  return moved;
}

// As mimalloc does: a block that fits and wastes no more than half stays where it is.
HOT bool stays(size_t size, size_t usable) {
  return mi_likely(size <= usable && size >= usable / 2);
}

static mi_decl_noinline void* reallocate_slowly(void* p, size_t size, bool clean, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_unlikely(page == NULL || size == 0)) return cold.reallocate(p, size, crt);
  if (mi_unlikely(is_exact(page))) {
    void* const moved = reallocate_exact(p, page, size, false);
    return mi_likely(moved != NULL) ? moved : cold.reallocate(p, size, crt);
  }
  const size_t usable = _mi_usable_size(p, page);
  if (!stays(size, usable)) return move(p, page, size, clean, crt);
  if (clean) clean_tail(p, size, usable);
  return p;
}

// A block in a page without interior pointers, of the default heap: others take longer.
HOT void* reallocate(void* p, size_t size, bool clean, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_likely(page != NULL && size != 0 && page->heap == NULL) &&
      mi_likely(!mi_page_has_interior_pointers(page))) {
    const size_t usable = mi_page_usable_size_of(page, (mi_block_t*)p, false);
    if (stays(size, usable)) {
      if (clean) clean_tail(p, size, usable);
      return p;
    }
  }
  return reallocate_slowly(p, size, clean, crt);
}

HOT size_t size_for(void* p, unsigned crt) {
  mi_page_t* const page = page_of(p);
  return mi_likely(page != NULL) ? size_of(p, page) : cold.usable_size(p, crt);
}

// An aligned address in a small block that has room for one; NULL if that takes the slow path.
HOT void* allocate_within_small(size_t size, size_t alignment, bool clean) {
  if (size > MI_SMALL_SIZE_MAX || alignment > MI_SMALL_SIZE_MAX) return NULL;
  uint8_t* const block = (uint8_t*)allocate_small(size + alignment - 1, false, false);
  if (block == NULL) return NULL;
  uint8_t* const p = (uint8_t*)(((uintptr_t)block + alignment - 1) & ~(uintptr_t)(alignment - 1));
  mi_page_t* const page = _mi_ptr_page(block);
  if (p != block && !mi_page_has_interior_pointers(page))
    mi_page_set_has_interior_pointers(page, true);
  if (clean) clean_tail(p, size, _mi_usable_size(p, page));
  return p;
}

static mi_decl_noinline void* allocate_aligned_generic(size_t size, size_t alignment, bool clean,
                                                       unsigned crt) {
  const bool valid =
      (alignment != 0 && (alignment & (alignment - 1)) == 0 && size <= MI_MAX_ALLOC_SIZE / 2);
  if (valid && alignment > BLOCK_ALIGNMENT) {
    void* const p = allocate_within_small(size, alignment, clean);
    if (mi_likely(p != NULL)) return p;
  }
  if (mi_likely(valid && !too_late_for_mimalloc())) {
    const DWORD error = last_error;
    const size_t padded = at_least_aligned(size);
    void* const p =
        (alignment <= BLOCK_ALIGNMENT ? mi_malloc(padded) : mi_malloc_aligned(padded, alignment));
    if (mi_likely(p != NULL)) {
      if (clean) clean_tail(p, size, mi_usable_size(p));
      last_error = error;
      return p;
    }
  }
  return cold.allocate_aligned(size, alignment, crt);
}

HOT void* allocate_aligned(size_t size, size_t alignment, bool clean, unsigned crt) {
  if (mi_likely(alignment != 0 && (alignment & (alignment - 1)) == 0)) {
    void* const p = allocate_small_aligned(size, alignment, false, clean);
    if (mi_likely(p != NULL)) return p;
  }
  return allocate_aligned_generic(size, alignment, clean, crt);
}

HOT void release_aligned(void* p, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_likely(page != NULL)) {
    release_in(page, start_of_aligned(page, p));
  }
  else {
    cold.release_aligned(p, crt);
  }
}

// The same for C runtimes whose sizes are exact.
static mi_decl_noinline void* allocate_exact_slowly(size_t size, bool zero, unsigned crt) {
  void* const p = allocate_exact(size, zero);
  return mi_likely(p != NULL) ? p : cold.allocate(size, zero, crt);
}

// C runtimes ask for a byte where a program asks for none.
HOT void* allocate_exact_for(size_t size, bool zero, unsigned crt) {
  const size_t asked = size + (size == 0);
  void* const p = allocate_small_exact(exact_theap(), asked, BLOCK_ALIGNMENT, zero);
  return mi_likely(p != NULL) ? p : allocate_exact_slowly(asked, zero, crt);
}

HOT void* allocate_many_exact_for(size_t count, size_t size, unsigned crt) {
  size_t total;
  if (mi_unlikely(mi_count_size_overflow(count, size, &total))) {
    return cold.allocate(SIZE_MAX, true, crt);
  }
  return allocate_exact_for(total, true, crt);
}

static mi_decl_noinline void* reallocate_exact_slowly(void* p, size_t size, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_unlikely(page == NULL || size == 0)) return cold.reallocate(p, size, crt);
  void* const moved = reallocate_exact(p, page, size, false);
  return mi_likely(moved != NULL) ? moved : cold.reallocate(p, size, crt);
}

HOT void* reallocate_exact_for(void* p, size_t size, unsigned crt) {
  mi_page_t* const page = page_of(p);
  if (mi_likely(page != NULL && size != 0) && stays_exact(p, page, size)) return p;
  return reallocate_exact_slowly(p, size, crt);
}

HOT void* allocate_aligned_exact_for(size_t size, size_t alignment, unsigned crt) {
  if (mi_unlikely(alignment == 0 || (alignment & (alignment - 1)) != 0))
    return cold.allocate_aligned(size, alignment, crt);
  void* p = allocate_small_exact(exact_theap(), size, alignment, false);
  if (mi_unlikely(p == NULL)) p = allocate_exact_aligned(size, alignment, 0);
  return mi_likely(p != NULL) ? p : cold.allocate_aligned(size, alignment, crt);
}

// All entries lie together, and each begins a cache line: at the places that the linker chose,
// their time differed by up to 5% between builds.
#define ENTRY static CACHE_LINE_ALIGNED_CODE IN_CODE_SECTION(".text$entries")

// One set of entries for each C runtime that can be taken over at once: errno, the new handler and
// the old heap are the runtime's own, and a jump cannot carry an argument that says which. `clean`
// entries keep the tails zero; those called exact keep the size that was asked for.
// clang-format off
#define ENTRIES(n, name, clean)                                                                    \
  ENTRY void* malloc_##name(size_t size)               { return allocate(size, false, clean, n); } \
  ENTRY void* calloc_##name(size_t count, size_t size) { return allocate_many(count, size, clean, n); } \
  ENTRY void* realloc_##name(void* p, size_t size)     { return reallocate(p, size, clean, n); }   \
  ENTRY void* aligned_malloc_##name(size_t size, size_t alignment) {                               \
    return allocate_aligned(size, alignment, clean, n);                                            \
  }

#define EXACT_ENTRIES(n)                                                                           \
  ENTRY void* malloc_exact_##n(size_t size) { return allocate_exact_for(size, false, n); }         \
  ENTRY void* calloc_exact_##n(size_t count, size_t size) {                                        \
    return allocate_many_exact_for(count, size, n);                                                \
  }                                                                                                \
  ENTRY void* realloc_exact_##n(void* p, size_t size) { return reallocate_exact_for(p, size, n); } \
  ENTRY void* aligned_malloc_exact_##n(size_t size, size_t alignment) {                            \
    return allocate_aligned_exact_for(size, alignment, n);                                         \
  }

#define ENTRIES_OF_RUNTIME(n)                                                                      \
  ENTRIES(n, n, false)                                                                             \
  ENTRIES(n, clean_##n, true)                                                                      \
  EXACT_ENTRIES(n)                                                                                 \
  ENTRY void   free_##n(void* p)         { release(p, n); }                                        \
  ENTRY size_t msize_##n(void* p)        { return size_for(p, n); }                             \
  ENTRY void   aligned_free_##n(void* p) { release_aligned(p, n); }

ENTRIES_OF_RUNTIME(0) ENTRIES_OF_RUNTIME(1) ENTRIES_OF_RUNTIME(2) ENTRIES_OF_RUNTIME(3)
ENTRIES_OF_RUNTIME(4) ENTRIES_OF_RUNTIME(5) ENTRIES_OF_RUNTIME(6) ENTRIES_OF_RUNTIME(7)

#define ROW(n, name)                                                                               \
  { malloc_##name, calloc_##name, realloc_##name, free_##n, msize_##n,                             \
    aligned_malloc_##name, aligned_free_##n }

const allograft_entries_t allograft_entries[ALLOGRAFT_RUNTIMES] = {
  ROW(0, 0), ROW(1, 1), ROW(2, 2), ROW(3, 3), ROW(4, 4), ROW(5, 5), ROW(6, 6), ROW(7, 7)
};

const allograft_entries_t allograft_clean_entries[ALLOGRAFT_RUNTIMES] = {
  ROW(0, clean_0), ROW(1, clean_1), ROW(2, clean_2), ROW(3, clean_3),
  ROW(4, clean_4), ROW(5, clean_5), ROW(6, clean_6), ROW(7, clean_7)
};

const allograft_entries_t allograft_exact_entries[ALLOGRAFT_RUNTIMES] = {
  ROW(0, exact_0), ROW(1, exact_1), ROW(2, exact_2), ROW(3, exact_3),
  ROW(4, exact_4), ROW(5, exact_5), ROW(6, exact_6), ROW(7, exact_7)
};
// clang-format on

#include "heap_api.c"
#include "lifetime.c"
#if defined(ALLOGRAFT_PUBLIC_API)
  #include "public_api.c"
#endif
