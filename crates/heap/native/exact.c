// Blocks that know the size that was asked for. Part of entry.c.
//
// mimalloc knows the room of a block, which may be more than was asked for. The heap API of the
// system promises the very size. So blocks that must answer it come from mimalloc heaps of their
// own, and the end of each tells how many bytes of its room were not asked for: its last byte, or,
// if that is 255, the word before that byte. A page that belongs to no heap but the default one has
// blocks without the number.
//
// A program may overrun its block by a byte, which does no harm on Windows. So the number decides
// nothing but the size that is answered and zeroed from: copies go by the room.

#define TELLS_BY_WORD 255

// The heap of the process's exact blocks; NULL until one is wanted.
static mi_heap_t* exact_heap;

// This thread's part of it, in a TLS slot of its own: mimalloc's slot for the heap last used would
// be written again and again where a program uses several.
static size_t exact_slot = MI_TLS_INITIAL_SLOT;
static size_t exact_expansion_slot = MI_TLS_INITIAL_EXPANSION_SLOT;

// NULL before the thread's first block of it, and after the thread's end.
HOT mi_theap_t* exact_theap(void) {
  const size_t slot = exact_slot;
  mi_theap_t* theap = (mi_theap_t*)mi_prim_tls_slot(slot);
  if (mi_unlikely(slot == MI_TLS_EXPANSION_SLOT) && mi_likely(theap != NULL))
    theap = ((mi_theap_t**)theap)[exact_expansion_slot];
  return theap;
}

static void set_exact_theap(mi_theap_t* theap) {
  mi_theap_t* const before = exact_theap();
  if (before == theap) return;
  mi_win_tls_slot_set(exact_slot, exact_expansion_slot, theap);
  // Programs can end mimalloc's thread by its public interface. What the slot leads to stays valid.
  _mi_theap_incref(theap);
  _mi_theap_decref(before);
}

// Marks the heaps whose blocks are exact: programs can make heaps by mimalloc's public interface.
// mimalloc takes any negative number for "no node preferred", and sets -1 itself.
#define EXACT_HEAP_NODE (-2)

HOT bool is_exact(const mi_page_t* page) {
  const mi_heap_t* const heap = page->heap;
  return heap != NULL && (heap == exact_heap || heap->numa_node == EXACT_HEAP_NODE);
}

static mi_heap_t* new_exact_heap(void) {
  mi_heap_t* const heap = mi_heap_new();
  if (heap != NULL) heap->numa_node = EXACT_HEAP_NODE;
  return heap;
}

// `room` bytes from `p` on are the block's, at least size + 1.
HOT void set_size(void* p, size_t room, size_t size) {
  uint8_t* const last = (uint8_t*)p + room - 1;
  const size_t rest = room - size;
  if (mi_likely(rest < TELLS_BY_WORD)) {
    *last = (uint8_t)rest;
  }
  else {
    memcpy(last - sizeof(rest), &rest, sizeof(rest));
    *last = TELLS_BY_WORD;
  }
}

// The size that was asked for, from the end of a block that has `room` bytes from `p` on. A number
// that cannot be right was overwritten: then all of the room counts.
static size_t size_in(const void* p, size_t room) {
  const uint8_t* const last = (const uint8_t*)p + room - 1;
  size_t rest = *last;
  if (rest == TELLS_BY_WORD && room > sizeof(rest)) {
    memcpy(&rest, last - sizeof(rest), sizeof(rest));
    if (rest < TELLS_BY_WORD) return room;
  }
  return (rest - 1 < room ? room - rest : room);
}

// The size of a block of `page`: exact for exact blocks, else its room.
HOT size_t size_of(const void* p, const mi_page_t* page) {
  const size_t room = _mi_usable_size(p, page);
  return is_exact(page) ? size_in(p, room) : room;
}

// What mimalloc is asked for: one byte more, and no block of a single word.
HOT size_t with_number(size_t size) { return to_aligned_size(size + 1); }

// As allocate_small_aligned, from `theap`, which may be NULL.
HOT void* allocate_small_exact(mi_theap_t* theap, size_t size, size_t alignment, bool zero) {
  if (mi_unlikely(theap == NULL) || mi_unlikely(size >= MI_SMALL_SIZE_MAX)) return NULL;
  mi_page_t* const page = small_page(theap, size + 1);
  if (mi_unlikely(page->free == NULL)) return NULL;
  if (alignment > BLOCK_ALIGNMENT && mi_unlikely(((uintptr_t)page->free & (alignment - 1)) != 0))
    return NULL;
  void* const p = mi_page_malloc_zero(theap, page, with_number(size) + MI_PADDING_SIZE, zero, NULL);
  // Small blocks have less than TELLS_BY_WORD bytes of room more than was asked for.
  const size_t room = mi_page_usable_size_of(page, (mi_block_t*)p, false);
  ((uint8_t*)p)[room - 1] = (uint8_t)(room - size);
  return p;
}

// This thread's part of `heap`; of the exact heap for NULL. NULL if there is no memory, or for
// threads that have ended.
static mi_theap_t* theap_of(mi_heap_t* heap) {
  if (heap == NULL) heap = exact_heap;
  if (heap == NULL || too_late_for_mimalloc()) return NULL;
  mi_theap_t* theap = (heap == exact_heap ? exact_theap() : NULL);
  if (theap != NULL) return theap;
  theap = _mi_heap_theap(heap);
  if (!mi_theap_is_initialized(theap)) return NULL;
  if (heap == exact_heap) set_exact_theap(theap);
  return theap;
}

// A block of `heap`, or of the exact heap for NULL. NULL if there is no memory, and where it is too
// late for mimalloc.
static mi_decl_noinline void* allocate_in(mi_heap_t* heap, size_t size, bool zero) {
  if (mi_unlikely(size >= MI_MAX_ALLOC_SIZE)) return NULL;
  const DWORD error = last_error;
  mi_theap_t* const theap = theap_of(heap);
  if (mi_unlikely(theap == NULL)) return NULL;
  void* const p = _mi_theap_malloc_zero(theap, with_number(size), zero, NULL);
  if (mi_unlikely(p == NULL)) return NULL;
  set_size(p, mi_usable_size(p), size);
  last_error = error;
  return p;
}

HOT void* allocate_exact(size_t size, bool zero) {
  void* const p = allocate_small_exact(exact_theap(), size, BLOCK_ALIGNMENT, zero);
  return mi_likely(p != NULL) ? p : allocate_in(NULL, size, zero);
}

// The address `offset` bytes into the block is a multiple of `alignment`, a power of two. NULL
// also for combinations that mimalloc refuses.
static mi_decl_noinline void* allocate_exact_aligned(size_t size, size_t alignment, size_t offset) {
  if (mi_unlikely(size >= MI_MAX_ALLOC_SIZE / 2)) return NULL;
  if (offset == 0 && alignment <= BLOCK_ALIGNMENT) return allocate_exact(size, false);
  const DWORD error = last_error;
  mi_theap_t* const theap = theap_of(NULL);
  if (mi_unlikely(theap == NULL)) return NULL;
  void* const p = mi_theap_malloc_aligned_at(theap, with_number(size), alignment, offset);
  if (mi_unlikely(p == NULL)) return NULL;
  set_size(p, mi_usable_size(p), size);
  last_error = error;
  return p;
}

// Gives a block of `page` with `room` bytes another size where it lies, zeroing what that adds if
// asked to. False if it has not the room. A block that is not exact keeps no size.
static mi_decl_noinline bool resize_in(void* p, size_t room, const mi_page_t* page, size_t size,
                                       bool zero) {
  if (!is_exact(page)) return size <= room;
  if (size >= room) return false;
  if (zero) {
    const size_t before = size_in(p, room);
    if (before < size) memset((uint8_t*)p + before, 0, size - before);
  }
  set_size(p, room, size);
  return true;
}

static bool resize_in_place(void* p, const mi_page_t* page, size_t size, bool zero) {
  return resize_in(p, _mi_usable_size(p, page), page, size, zero);
}

// Moves a block within its exact heap; one that is not exact to the exact heap. NULL if there is no
// memory, or where it is too late for mimalloc; the block is as it was then.
static void* move_exact(void* p, mi_page_t* page, size_t size, bool zero) {
  const size_t room = _mi_usable_size(p, page);
  const bool exact = is_exact(page);
  const size_t before = (exact ? size_in(p, room) : room);
  uint8_t* const moved =
      (uint8_t*)(exact && page->heap != exact_heap ? allocate_in(page->heap, size, false)
                                                   : allocate_exact(size, false));
  if (mi_unlikely(moved == NULL)) {
    // What fits stays: making a block smaller needs no memory.
    return resize_in_place(p, page, size, zero) ? p : NULL;
  }
  _mi_memcpy(moved, p, room < size ? room : size);
  if (zero && before < size) memset(moved + before, 0, size - before);
  release_in(page, p);
  return moved;
}

// The common case of a reallocation: an exact block that fits and wastes no more than half stays
// where it is, in a page without interior pointers. False, and nothing done, in all other cases.
HOT bool stays_exact(void* p, mi_page_t* page, size_t size) {
  if (mi_unlikely(mi_page_has_interior_pointers(page))) return false;
  const size_t room = mi_page_usable_size_of(page, (mi_block_t*)p, false);
  if (mi_unlikely(size >= room || size < room / 2) || mi_unlikely(!is_exact(page))) return false;
  set_size(p, room, size);
  return true;
}

// A block with another size: where it lies if it wastes no more than half there, else moved.
static mi_decl_noinline void* reallocate_exact(void* p, mi_page_t* page, size_t size, bool zero) {
  const size_t room = _mi_usable_size(p, page);
  if (is_exact(page) && size >= room / 2 && resize_in(p, room, page, size, zero)) return p;
  return move_exact(p, page, size, zero);
}

// Makes the exact heap, once; the caller holds the loader's lock. False if the system has no memory
// or no TLS slot for it.
bool allograft_heap_exact_start(void) {
  static DWORD tls_index = TLS_OUT_OF_INDEXES;
  if (exact_heap != NULL) return true;
  if (tls_index == TLS_OUT_OF_INDEXES &&
      !mi_win_tls_slot_alloc(&exact_slot, &exact_expansion_slot, &tls_index))
    return false;
  exact_heap = new_exact_heap();
  return exact_heap != NULL;
}

// The calling thread ends.
static void exact_thread_done(void) {
  if (exact_heap != NULL) set_exact_theap(NULL);
}

void* allograft_heap_exact_allocate(size_t size, bool zero) { return allocate_exact(size, zero); }

void* allograft_heap_exact_allocate_aligned(size_t size, size_t alignment, size_t offset) {
  return allocate_exact_aligned(size, alignment, offset);
}

size_t allograft_heap_size(const void* p) { return size_of(p, _mi_ptr_page(p)); }

// Of an aligned block too.
bool allograft_heap_resize_in_place(void* p, size_t size, bool zero) {
  return resize_in(p, allograft_heap_usable_size_of_aligned(p), _mi_ptr_page(p), size, zero);
}

void* allograft_heap_private_new(void) { return new_exact_heap(); }

void* allograft_heap_private_allocate(void* heap, size_t size, bool zero) {
  return allocate_in((mi_heap_t*)heap, size, zero);
}

// Frees all blocks of the heap; the program uses none of them any more.
void allograft_heap_private_destroy(void* heap) { mi_heap_destroy((mi_heap_t*)heap); }
