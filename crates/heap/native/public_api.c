// What the public interface of mimalloc needs beyond mimalloc's own sources, for modules that
// export it. Part of entry.c.

#undef mi_dupenv_s
#undef mi_wdupenv_s
// Options have a file behind the environment; a program's variables have not.
#undef GetEnvironmentVariableA

static bool (*asked_for_redirection)(void);

void allograft_heap_set_is_redirected(bool (*is_redirected)(void)) {
  asked_for_redirection = is_redirected;
}

bool _mi_is_redirected(void) { return asked_for_redirection != NULL && asked_for_redirection(); }

bool _mi_allocator_init(const char** message) {
  if (message != NULL) *message = NULL;
  return true;
}

void _mi_allocator_done(void) {}

// The variable's value in a block of mimalloc's, from the process's environment: there is no C
// runtime here that would have one of its own. Another thread may make the value longer between two
// calls; then it is asked for again.
#define DUPLICATE_VARIABLE(character, ask)                                                         \
  if (size != NULL) *size = 0;                                                                     \
  if (buf == NULL || name == NULL) return EINVAL;                                                  \
  *buf = NULL;                                                                                     \
  for (DWORD room = ask(name, NULL, 0); room != 0;) {                                              \
    character* const value = (character*)mi_malloc(room * sizeof(character));                      \
    if (value == NULL) return ENOMEM;                                                              \
    const DWORD length = ask(name, value, room);                                                   \
    if (length < room && (length > 0 || room == 1)) {                                              \
      *buf = value;                                                                                \
      if (size != NULL) *size = (size_t)length + 1;                                                \
      return 0;                                                                                    \
    }                                                                                              \
    mi_free(value);                                                                                \
    room = length;                                                                                 \
  }                                                                                                \
  return 0;

int mi_dupenv_s(char** buf, size_t* size, const char* name) mi_attr_noexcept {
  DUPLICATE_VARIABLE(char, GetEnvironmentVariableA)
}

int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) mi_attr_noexcept {
  DUPLICATE_VARIABLE(wchar_t, GetEnvironmentVariableW)
}
