// Starting mimalloc in a process that is already running, and its figures. Part of entry.c; nothing
// here is hot.

// mimalloc treats the thread that starts it as the main one, which lives as long as the process.
// Here it is the thread that loads the module, often an injector's that ends at once, and Windows
// gives its id (the address of its TEB) to a later thread. So no thread is the main one: no thread
// has this id.
#define NO_THREAD ((mi_threadid_t)8)

static bool prints_statistics(void) {
  return mi_option_is_enabled(mi_option_show_stats) || mi_option_is_enabled(mi_option_verbose);
}

static void set_theap_of_thread(mi_theap_t* theap) {
  mi_win_tls_slot_set(_mi_theap_default_slot, _mi_theap_default_expansion_slot, theap);
}

bool allograft_heap_start(const allograft_cold_t* cold_paths) {
  cold = *cold_paths;
  if (_mi_process_is_initialized) return true;
  tld_main.thread_id = NO_THREAD;
  // Set, not defaulted: the environment must not be able to take away what page_of relies on. The
  // map covers all addresses, also those that a program or an older system cannot have.
  mi_option_set(mi_option_pagemap_commit, 1);
  mi_option_set(mi_option_max_vabits, ADDRESS_BITS);
#if MI_DEBUG
  // The C runtime's offset-aligned blocks may begin at any address, which mimalloc's checks would
  // take for a mistake.
  mi_option_set(mi_option_guarded_precise, 1);
#endif
  // The program's contract wants an answer at once when there is no memory; the environment may ask
  // otherwise.
  mi_option_set_default(mi_option_retry_on_oom, 0);
  os_preloading = false;
  mi_tls_slots_init();
  if (mi_tls_raw_index_default == TLS_OUT_OF_INDEXES ||
      mi_tls_raw_index_cached == TLS_OUT_OF_INDEXES)
    return false;
  // mimalloc would prepare this thread for allocating now, and commit 2 MiB of tables for it. The
  // thread may never allocate, so it pretends to be prepared while mimalloc starts.
  set_theap_of_thread(&theap_main);
  mi_process_init();
  set_theap_of_thread(NULL);
  _mi_thread_locals_init();
  _mi_options_post_init();
  if (prints_statistics()) {
    // The statistics at process exit need functions of a DLL, which must be loaded before then.
    size_t unused;
    mi_process_info(&unused, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  }
  return _mi_page_map != NULL && mi_page_map_memid.initially_committed;
}

bool allograft_heap_is_too_late(void) { return too_late_for_mimalloc(); }

void allograft_heap_thread_done(void) {
  exact_thread_done();
  _mi_thread_done(NULL);
}

void allograft_heap_free(void* p) { release_in(_mi_ptr_page(p), p); }

bool allograft_heap_owns(const void* p) { return _mi_safe_ptr_page(p) != NULL; }

// An address `p` inside a block of mimalloc's for which `p + offset` is aligned, for alignments
// that mimalloc refuses to combine with an offset. NULL if there is no memory, or where such an
// address would lie too deep in its block for the page map, which knows the first part of a large
// block only.
void* allograft_heap_interior_aligned(size_t size, size_t alignment, size_t offset, bool exact) {
  if (alignment > MI_LARGE_PAGE_SIZE / 2 || size > MI_MAX_ALLOC_SIZE - alignment) return NULL;
  uint8_t* const block =
      (uint8_t*)(exact ? allocate_exact(size + alignment, false) : mi_malloc(size + alignment));
  if (block == NULL) return NULL;
  const size_t past = ((uintptr_t)block + offset) & (alignment - 1);
  uint8_t* const p = (past == 0 ? block : block + (alignment - past));
  if (p != block) mi_page_set_has_interior_pointers(_mi_ptr_page(block), true);
  if (exact) set_size(p, mi_usable_size(p), size);
  return p;
}

bool allograft_heap_exchange_unmarked_interior_pointers(bool possible) {
  const bool before = unmarked_interior_pointers;
  unmarked_interior_pointers = possible;
  return before;
}

size_t allograft_heap_usable_size_of_aligned(void* p) {
  mi_page_t* const page = _mi_ptr_page(p);
  void* const start = start_of_aligned(page, p);
  return _mi_usable_size(start, page) - (size_t)((uint8_t*)p - (uint8_t*)start);
}

size_t allograft_heap_size_of_aligned(void* p) {
  mi_page_t* const page = _mi_ptr_page(p);
  void* const start = start_of_aligned(page, p);
  return size_of(start, page) - (size_t)((uint8_t*)p - (uint8_t*)start);
}

void allograft_heap_free_aligned(void* p) {
  mi_page_t* const page = _mi_ptr_page(p);
  release_in(page, start_of_aligned(page, p));
}

#if defined(ALLOGRAFT_CHECK_FREES)
void allograft_heap_report_mistakes(void (*print)(const char* text, void* unused),
                                    void (*mistake)(int error, void* unused)) {
  // A handler of errors also keeps mimalloc from ending the process.
  mi_register_error(mistake, NULL);
  mi_register_output(print, NULL);
}
#endif

#if MI_SECURE
bool allograft_heap_keys_are_strong(void) {
  const mi_theap_t* const theap = _mi_theap_default();
  return theap != NULL && !theap->random.weak;
}
#endif

// The slices of `arena` at `field` of `chunk` that are committed and hold nothing.
static mi_bfield_t idle_slices(const mi_arena_t* arena, size_t chunk, size_t field) {
  return mi_atomic_load_relaxed(&arena->slices_free->chunks[chunk].bfields[field]) &
         mi_atomic_load_relaxed(&arena->slices_committed->chunks[chunk].bfields[field]);
}

// Committed bytes that hold nothing: kept to be used again, or to be returned after a while.
static size_t idle_bytes(void) {
  size_t slices = 0;
  for (size_t i = 0; i < mi_arenas_get_count(&subproc_main); i++) {
    const mi_arena_t* const arena = mi_arena_from_index(&subproc_main, i);
    if (arena == NULL) continue;
    for (size_t chunk = 0; chunk < mi_bbitmap_chunk_count(arena->slices_free); chunk++) {
      for (size_t field = 0; field < MI_BCHUNK_FIELDS; field++) {
        slices += mi_popcount(idle_slices(arena, chunk, field));
      }
    }
  }
  return mi_size_of_slices(slices);
}

void allograft_heap_figures(allograft_figures_t* figures) {
  const mi_stats_t* const stats = &subproc_main.stats;
  figures->committed = (size_t)stats->committed.current;
  figures->committed_peak = (size_t)stats->committed.peak;
  const size_t idle = idle_bytes();
  figures->used = (figures->committed > idle ? figures->committed - idle : 0);
  figures->reserved = (size_t)stats->reserved.current;
  figures->reserved_peak = (size_t)stats->reserved.peak;
  figures->threads = mi_atomic_load_relaxed(&subproc_main.thread_count);
}

// At process exit, if `MIMALLOC_SHOW_STATS` or `MIMALLOC_VERBOSE` asks for it.
void allograft_heap_print_statistics(void) {
  if (prints_statistics()) {
    mi_subproc_stats_print_out(mi_subproc_main(), NULL, NULL);
  }
}
