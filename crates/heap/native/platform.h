// What mimalloc gets from the system. It is compiled into a module that has no C runtime, so the few calls that
// would need one, or advapi32, are sent elsewhere before mimalloc's sources are read.
#pragma once

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>

// mimalloc writes to the standard error handle itself and falls back on these where there is none.
#undef fputs
#define fputs(text, stream)  ((void)(text))
#undef stderr
#define stderr  NULL
#undef stdout
#define stdout  NULL

// We register no exit routines: see "Ends" in ARCHITECTURE.md.
#define atexit(routine)  ((void)(routine))

// mimalloc aborts only where memory is corrupt. There is no runtime to say so with: stop where a debugger sees it.
#define abort()  __builtin_trap()

// mimalloc's own errno is not the program's; the engine sets the program's, in the program's C runtime.
static int allograft_ignored_errno;
#undef errno
#define errno  allograft_ignored_errno

// Large pages need a privilege, and the calls that ask for it are advapi32's, which is loaded only on that demand.
BOOL allograft_open_process_token(HANDLE process, DWORD access, HANDLE* token);
BOOL allograft_lookup_privilege(LPCWSTR system, LPCWSTR name, PLUID id);
BOOL allograft_adjust_privileges(HANDLE token, BOOL disable, PTOKEN_PRIVILEGES next, DWORD size, PTOKEN_PRIVILEGES previous, PDWORD needed);
#define OpenProcessToken       allograft_open_process_token
#undef LookupPrivilegeValue
#define LookupPrivilegeValue(system, name, id)  allograft_lookup_privilege(NULL, L"SeLockMemoryPrivilege", id)
#define AdjustTokenPrivileges  allograft_adjust_privileges

// The numbers in mimalloc's options.
long allograft_parse_long(const char* text, char** end, int base);
#define strtol  allograft_parse_long

// mimalloc's options come from the environment, and behind it from wherever the module's owner keeps them.
DWORD allograft_get_option(LPCSTR name, LPSTR value, DWORD size);
#define GetEnvironmentVariableA  allograft_get_option

// Functions of mimalloc's public interface that nothing here calls, and which would need a C runtime.
#define getenv(name)    ((void)(name), (char*)NULL)
#define _wgetenv(name)  ((void)(name), (wchar_t*)NULL)
#define wcslen(text)    ((void)(text), (size_t)0)
#define free(block)     ((void)(block))
#undef GetFullPathNameA
#define GetFullPathNameA(name, size, buffer, part)  ((void)(name), (DWORD)0)
