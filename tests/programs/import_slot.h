/* The import address table slot of the function `name`, as the linker calls it; it puts an
 * underscore before C's names on x86. */
#pragma once

#if defined(_WIN64)
#define IMPORT(name) __imp_##name
#else
#define IMPORT(name) _imp__##name
#endif

/* Declares `variable` as the slot of a function of the system, whose arguments take `bytes` bytes
 * on x86: there these are a part of what the linker calls it. */
#if defined(_WIN64)
#define SYSTEM_IMPORT(variable, name, bytes) extern void *variable __asm__("__imp_" #name)
#else
#define SYSTEM_IMPORT(variable, name, bytes)                                                       \
    extern void *variable __asm__("__imp__" #name "@" #bytes)
#endif
