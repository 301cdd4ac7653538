// What of mimalloc's arenas is in use. Part of entry.c.

// The slices of `arena` at `field` of `chunk` that are committed and hold nothing.
static mi_bfield_t idle_slices(const mi_arena_t* arena, size_t chunk, size_t field) {
  return mi_atomic_load_relaxed(&arena->slices_free->chunks[chunk].bfields[field]) &
         mi_atomic_load_relaxed(&arena->slices_committed->chunks[chunk].bfields[field]);
}

// Bytes that are committed and hold nothing: kept to be used again, or to be given back in a while.
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
