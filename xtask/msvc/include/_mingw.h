// MinGW's definitions of a compiler's words, less one that clang has of its own for Microsoft's
// ABI.
#pragma once
#include_next <_mingw.h>
#undef __forceinline
