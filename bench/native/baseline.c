// The baseline of the bench: the modules' mimalloc, to be linked into a program that calls it
// directly.

#include "static.c"

// mimalloc registers its TLS callbacks in the syntax of Microsoft's compiler; this is GCC's.
#define CALLED_AT(place) __attribute__((section(".CRT$" place), used))

CALLED_AT("XLB") static const PIMAGE_TLS_CALLBACK baseline_attach = &mi_win_main_attach;
CALLED_AT("XLY") static const PIMAGE_TLS_CALLBACK baseline_detach = &mi_win_main_detach;
