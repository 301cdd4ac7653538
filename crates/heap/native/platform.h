// What mimalloc gets from the system. It is compiled into a module that has no C runtime, so the
// few calls that would need one, or advapi32, are sent elsewhere before mimalloc's sources are
// read.
#pragma once

#include "compiler.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#if defined(__cplusplus)
  // mimalloc's; read before the names in them are redefined below.
  #include <atomic>
  #include <new>
  // Without the C++ library, which a program need not link: no handler for `mi_new`.
  #define get_new_handler() new_handler()
#endif

#if defined(_MSC_VER)
  // mimalloc registers callbacks by which it would start and end by itself. GCC ignores the pragmas
  // that do it. Here the callbacks stay and find nothing to do: the calls in them are told from
  // declarations and definitions by `void`, which these have for a parameter list.
  #define _mi_auto_process_init(parameters) SELF_START_##parameters
  #define SELF_START_void _mi_auto_process_init(void)
  #define SELF_START_ ((void)0)
  #define _mi_auto_process_done(parameters) SELF_END_##parameters
  #define SELF_END_void _mi_auto_process_done(void)
  #define SELF_END_ ((void)0)
  // Another module ends the threads, as far as it knows.
  #define _mi_is_redirected(parameters) REDIRECTED_##parameters
  #define REDIRECTED_void _mi_is_redirected(void)
  #define REDIRECTED_ true
#endif

#if defined(__cplusplus)
extern "C" {
#endif

// mimalloc writes to the standard error handle itself and falls back on these where there is none.
#undef fputs
#define fputs(text, stream) ((void)(text))
#undef stderr
#define stderr NULL
#undef stdout
#define stdout NULL

// We register no exit routines: see "Ends" in ARCHITECTURE.md.
#define atexit(routine) ((void)(routine))

// mimalloc aborts only where memory is corrupt. There is no runtime to say so with: stop where a
// debugger sees it.
#define abort() TRAP()

// mimalloc's own errno is not the program's; the engine sets the program's, in the program's C
// runtime.
static int allograft_ignored_errno;
#undef errno
#define errno allograft_ignored_errno

// Large pages need a privilege, and the calls that ask for it are advapi32's, which is loaded only
// on that demand.
BOOL allograft_open_process_token(HANDLE process, DWORD access, HANDLE* token);
BOOL allograft_lookup_privilege(LPCWSTR system, LPCWSTR name, PLUID id);
BOOL allograft_adjust_privileges(HANDLE token, BOOL disable, PTOKEN_PRIVILEGES next, DWORD size,
                                 PTOKEN_PRIVILEGES previous, PDWORD needed);
#define OpenProcessToken allograft_open_process_token
#undef LookupPrivilegeValue
#define LookupPrivilegeValue(system, name, id)                                                     \
  allograft_lookup_privilege(NULL, L"SeLockMemoryPrivilege", id)
#define AdjustTokenPrivileges allograft_adjust_privileges

#if MI_SECURE
  // Where mimalloc is no DLL of its own, it seeds the heaps of all threads with the time and an
  // address, as loading bcrypt.dll may allocate. Here that is loaded when mimalloc starts, before
  // any C runtime is taken over. So both of mimalloc's kinds of seeding are the strong one: the
  // pasted prefix reads "weak" as not weak in the calls, and leaves the parameter as it is in the
  // definition.
  #define SEEDED_bool bool
  #define SEEDED_true false
  #define SEEDED_false false
  #define mi_random_init_ex(context, weak) mi_random_init_seeded(context, SEEDED_##weak)
#endif

// By its name alone, a DLL could come from the program's folder.
#undef LoadLibrary
#define LoadLibrary(name) LoadLibraryExA(name, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32)

// The numbers in mimalloc's options.
long allograft_parse_long(const char* text, char** end, int base);
#define strtol allograft_parse_long

// mimalloc's options come from the environment, and then from the module's configuration file.
DWORD allograft_get_option(LPCSTR name, LPSTR value, DWORD size);
#define GetEnvironmentVariableA allograft_get_option

#if defined(__cplusplus)
}
#endif

#define wcslen(text) allograft_wcslen(text)
static inline size_t allograft_wcslen(const wchar_t* text) {
  size_t length = 0;
  while (text[length] != 0)
    length++;
  return length;
}

#if defined(ALLOGRAFT_PUBLIC_API)
  // All of mimalloc's public interface is kept and exported. Only the declarations are read as a
  // shared library's: the sources would else expect another module to do the redirection.
  #define MI_SHARED_LIB
  #define MI_SHARED_LIB_EXPORT
  #include "mimalloc.h"
  #include "mimalloc-stats.h"
  #undef MI_SHARED_LIB
  #undef MI_SHARED_LIB_EXPORT
  #define free(block) mi_free(block)
  // public_api.c answers what mimalloc would ask a redirection module, and has its own of the two
  // that ask a C runtime.
  #define MI_PRIM_HAS_ALLOCATOR_INIT 1
  #define mi_dupenv_s allograft_unused_dupenv_s
  #define mi_wdupenv_s allograft_unused_wdupenv_s
#else
// Functions of mimalloc's public interface that nothing here calls, and which would need a C
// runtime or more of the system.
  #define free(block) ((void)(block))
  #undef GetFullPathNameA
  #define GetFullPathNameA(name, size, buffer, part) ((void)(name), (DWORD)0)
#endif
#define getenv(name) ((void)(name), (char*)NULL)
#define _wgetenv(name) ((void)(name), (wchar_t*)NULL)
