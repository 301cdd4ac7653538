// The part of a C runtime that lies in a program built for Microsoft's ABI: its entry point, its
// thread-local data, and what compilers refer to. Microsoft's own comes with the Windows SDK only.
// Everything else is in ucrtbase.dll and vcruntime140.dll.

#include <intrin.h>
#include <stdlib.h>
#include <windows.h>

#if defined(_M_IX86)
#define LINKER_NAME(name) "/include:_" name
#else
#define LINKER_NAME(name) "/include:" name
#endif
#pragma comment(linker, LINKER_NAME("_tls_used"))
#pragma comment(lib, "kernel32")
#pragma comment(lib, "helpers")
#pragma comment(lib, "vcruntime")
#pragma comment(lib, "ucrt")

// The linker sorts what begins alike, so that each pair encloses the functions that other objects
// put between.
typedef void (*initializer_t)(void);
#pragma section(".CRT$XIA", read)
#pragma section(".CRT$XIZ", read)
#pragma section(".CRT$XCA", read)
#pragma section(".CRT$XCZ", read)
#pragma section(".CRT$XLA", read)
#pragma section(".CRT$XLZ", read)
#pragma section(".tls", read, write)
#pragma section(".tls$ZZZ", read, write)
#pragma section(".rdata$T", read)
__declspec(allocate(".CRT$XIA")) static const initializer_t first_c = NULL;
__declspec(allocate(".CRT$XIZ")) static const initializer_t last_c = NULL;
__declspec(allocate(".CRT$XCA")) static const initializer_t first_cpp = NULL;
__declspec(allocate(".CRT$XCZ")) static const initializer_t last_cpp = NULL;
__declspec(allocate(".CRT$XLA")) static const PIMAGE_TLS_CALLBACK first_callback = NULL;
__declspec(allocate(".CRT$XLZ"))
__attribute__((used)) static const PIMAGE_TLS_CALLBACK last_callback = NULL;
__declspec(allocate(".tls")) char _tls_start = 0;
__declspec(allocate(".tls$ZZZ")) char _tls_end = 0;

ULONG _tls_index;

#if defined(_M_IX86)
// Where the TEB has the threads' pointer to this data.
__asm__(".globl __tls_array\n.set __tls_array, 0x2C");
#endif

__declspec(allocate(".rdata$T"))
const IMAGE_TLS_DIRECTORY _tls_used = {(ULONG_PTR)&_tls_start, (ULONG_PTR)&_tls_end,
                                       (ULONG_PTR)&_tls_index, (ULONG_PTR)(&first_callback + 1)};

int _fltused = 0x9875;

// Type descriptors of exceptions begin with the address of this class's functions, which are for
// dynamic casts.
const void *const type_info_functions __asm__("??_7type_info@@6B@") = NULL;

uintptr_t __security_cookie = (uintptr_t)0x2B992DDFA23249D6;

#if defined(_M_IX86)
void __fastcall __security_check_cookie(uintptr_t cookie) {
#else
void __security_check_cookie(uintptr_t cookie) {
#endif
    if (cookie != __security_cookie)
        __fastfail(FAST_FAIL_STACK_COOKIE_CHECK_FAILURE);
}

int main(int count, char **arguments, char **environment);
int _configure_narrow_argv(int mode);
int _initialize_narrow_environment(void);
char **_get_initial_narrow_environment(void);
int *__p___argc(void);
char ***__p___argv(void);

static void call(const initializer_t *first, const initializer_t *last) {
    for (const initializer_t *function = first; function < last; function++) {
        if (*function != NULL)
            (*function)();
    }
}

void mainCRTStartup(void) {
    call(&first_c, &last_c);
    call(&first_cpp, &last_cpp);
    _configure_narrow_argv(1);
    _initialize_narrow_environment();
    exit(main(*__p___argc(), *__p___argv(), _get_initial_narrow_environment()));
}
