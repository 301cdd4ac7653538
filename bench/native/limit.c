// The limit that the bench measures against: the modules' mimalloc, to be linked into a program
// that calls it directly.

#include "static.c"

// mimalloc asks for its calls at the start and the end of threads in the words of Microsoft's
// compiler; these are GCC's.
#define CALLED_AT(place) __attribute__((section(".CRT$" place), used))

CALLED_AT("XLB") static const PIMAGE_TLS_CALLBACK limit_attach = &mi_win_main_attach;
CALLED_AT("XLY") static const PIMAGE_TLS_CALLBACK limit_detach = &mi_win_main_detach;
