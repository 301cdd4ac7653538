// The entry points that take the place of the system's heap functions: HeapAlloc and its kin, for
// the process's heap and one more. Part of entry.c.
//
// Whose block it is, the page map tells, whatever heap the caller names. What is not the common
// case (a heap that is not served, a block of the old heap, no memory) goes to the engine, through
// `heap_api_cold`. A successful call leaves the thread's last error as it is.

static allograft_heap_api_cold_t heap_api_cold;

// The heap handles that are served, and the heap of the second. INVALID_HANDLE_VALUE is none.
static HANDLE process_heap = INVALID_HANDLE_VALUE;
static _Atomic(HANDLE) second_handle = INVALID_HANDLE_VALUE;
static mi_heap_t* second_heap;

// Flags that the heaps of a C runtime or of Rust are called with. Others (user values, tags,
// executable memory) are left to the old heap.
#define SERVED_FLAGS (HEAP_NO_SERIALIZE | HEAP_GENERATE_EXCEPTIONS | HEAP_ZERO_MEMORY)

static mi_decl_noinline void* allocate_slowly(HANDLE heap, DWORD flags, size_t size) {
  if (mi_likely((flags & ~SERVED_FLAGS) == 0)) {
    const bool zero = (flags & HEAP_ZERO_MEMORY) != 0;
    void* p = NULL;
    if (heap == process_heap) {
      p = allocate_exact(size, zero);
    }
    else if (heap == mi_atomic_load_acquire(&second_handle)) {
      mi_theap_t* const theap = _mi_theap_cached();
      if (mi_likely(theap != NULL && _mi_theap_heap(theap) == second_heap))
        p = allocate_small_exact(theap, size, BLOCK_ALIGNMENT, zero);
      if (mi_unlikely(p == NULL)) p = allocate_in(second_heap, size, zero);
    }
    if (mi_likely(p != NULL)) return p;
  }
  return heap_api_cold.allocate(heap, flags, size);
}

// The same for the process's heap and zeroed blocks: what a `calloc` asks for.
static mi_decl_noinline void* allocate_zeroed(HANDLE heap, DWORD flags, size_t size) {
  void* const p = allocate_small_exact(exact_theap(), size, BLOCK_ALIGNMENT, true);
  return mi_likely(p != NULL) ? p : allocate_slowly(heap, flags, size);
}

ENTRY void* SYSTEM heap_api_allocate(void* heap, unsigned flags, size_t size) {
  if (mi_likely(heap == process_heap)) {
    if (mi_likely((flags & ~HEAP_NO_SERIALIZE) == 0)) {
      void* const p = allocate_small_exact(exact_theap(), size, BLOCK_ALIGNMENT, false);
      if (mi_likely(p != NULL)) return p;
    }
    else if ((flags & ~HEAP_NO_SERIALIZE) == HEAP_ZERO_MEMORY) {
      return allocate_zeroed(heap, flags, size);
    }
  }
  return allocate_slowly(heap, flags, size);
}

// What is rare returns the result too, so that the entry needs no frame.
static mi_decl_noinline int release_slowly(mi_page_t* page, void* p) {
  release_by_mimalloc(page, p);
  return TRUE;
}

#if FREES_ITSELF
static mi_decl_noinline int retire(mi_page_t* page) {
  _mi_page_retire(page);
  return TRUE;
}
#endif

ENTRY int SYSTEM heap_api_free(void* heap, unsigned flags, void* p) {
  mi_page_t* const page = page_of(p);
  if (mi_unlikely(page == NULL)) return heap_api_cold.release(heap, flags, p);
#if FREES_ITSELF
  if (mi_likely(is_own_page(page)))
    return mi_unlikely(release_in_own(page, p)) ? retire(page) : TRUE;
#endif
  return release_slowly(page, p);
}

HOT void* reallocate_any(HANDLE heap, DWORD flags, void* p, size_t size, bool migrates) {
  mi_page_t* const page = page_of(p);
  if (mi_likely(page != NULL)) {
    const bool zero = (flags & HEAP_ZERO_MEMORY) != 0;
    if (mi_likely((flags & HEAP_REALLOC_IN_PLACE_ONLY) == 0)) {
      void* const moved = reallocate_exact(p, page, size, zero);
      if (mi_likely(moved != NULL)) return moved;
    }
    else if (resize_in_place(p, page, size, zero)) {
      return p;
    }
  }
  return heap_api_cold.reallocate(heap, flags, p, size, migrates);
}

static mi_decl_noinline void* reallocate_here(HANDLE heap, DWORD flags, void* p, size_t size) {
  return reallocate_any(heap, flags, p, size, true);
}

static mi_decl_noinline void* reallocate_elsewhere(HANDLE heap, DWORD flags, void* p, size_t size) {
  return reallocate_any(heap, flags, p, size, false);
}

HOT bool stays_for(DWORD flags, void* p, size_t size) {
  mi_page_t* const page = page_of(p);
  return mi_likely(page != NULL) && mi_likely((flags & ~HEAP_NO_SERIALIZE) == 0) &&
         stays_exact(p, page, size);
}

ENTRY void* SYSTEM heap_api_reallocate(void* heap, unsigned flags, void* p, size_t size) {
  return stays_for(flags, p, size) ? p : reallocate_here(heap, flags, p, size);
}

ENTRY void* SYSTEM heap_api_reallocate_in_other_modules(void* heap, unsigned flags, void* p,
                                                        size_t size) {
  return stays_for(flags, p, size) ? p : reallocate_elsewhere(heap, flags, p, size);
}

ENTRY size_t SYSTEM heap_api_size(void* heap, unsigned flags, const void* p) {
  const mi_page_t* const page = page_of(p);
  return mi_likely(page != NULL) ? size_of(p, page) : heap_api_cold.size(heap, flags, p);
}

const allograft_heap_api_entries_t allograft_heap_api_entries = {
    heap_api_allocate, heap_api_free, heap_api_reallocate, heap_api_reallocate_in_other_modules,
    heap_api_size};

bool allograft_heap_api_start(const allograft_heap_api_cold_t* cold_paths, void* process) {
  if (!allograft_heap_exact_start()) return false;
  heap_api_cold = *cold_paths;
  process_heap = process;
  return true;
}

// Serves `handle` from `heap`, in the place of the handle before; NULL ends it. The program uses
// the handle before no more.
void allograft_heap_api_serve_second(void* handle, void* heap) {
  mi_atomic_store_release(&second_handle, INVALID_HANDLE_VALUE);
  if (handle == NULL) return;
  second_heap = (mi_heap_t*)heap;
  mi_atomic_store_release(&second_handle, handle);
}
