/* The few declarations that a program without a C runtime needs; the compiler offers no Windows
 * headers to one. */

#ifndef ALLOGRAFT_TEST_NO_CRT_H
#define ALLOGRAFT_TEST_NO_CRT_H

#include <stddef.h>

typedef void *HANDLE;

#define STANDARD_INPUT ((unsigned long)-10)
#define STANDARD_OUTPUT ((unsigned long)-11)

__declspec(dllimport) HANDLE __stdcall GetStdHandle(unsigned long which);
__declspec(dllimport) int __stdcall ReadFile(HANDLE, void *, unsigned long, unsigned long *,
                                             void *);
__declspec(dllimport) int __stdcall WriteFile(HANDLE, const void *, unsigned long, unsigned long *,
                                              void *);
__declspec(dllimport) unsigned long __stdcall GetCurrentProcessId(void);
__declspec(dllimport) HANDLE __stdcall GetModuleHandleA(const char *name);
__declspec(dllimport) HANDLE __stdcall LoadLibraryA(const char *name);
__declspec(dllimport) void *__stdcall GetProcAddress(HANDLE module, const char *name);
__declspec(dllimport) int __stdcall lstrlenA(const char *text);
__declspec(dllimport) __attribute__((noreturn)) void __stdcall ExitProcess(unsigned int code);

static inline void write_text(const char *text) {
    unsigned long written = 0;
    WriteFile(GetStdHandle(STANDARD_OUTPUT), text, (unsigned long)lstrlenA(text), &written, NULL);
}

static inline void fail(const char *text) {
    write_text(text);
    ExitProcess(1);
}

/* As `meet_harness` of support.h. */
static inline void meet_harness(void) {
    char digits[12];
    int used = sizeof digits - 1;
    digits[used] = 0;
    for (unsigned long rest = GetCurrentProcessId(); rest; rest /= 10) {
        digits[--used] = (char)('0' + rest % 10);
    }
    write_text("ready ");
    write_text(&digits[used]);
    write_text("\n");
    char byte = 0;
    unsigned long got = 0;
    while (byte != '\n' && ReadFile(GetStdHandle(STANDARD_INPUT), &byte, 1, &got, NULL) &&
           got == 1) {
    }
}

#endif
