// The functions of a C++ library that are linked into a program: those that allocate, and what the
// headers of zig's libc++ expect to be compiled elsewhere.

#include <stdlib.h>
#include <string>

void *operator new(size_t size) { return malloc(size == 0 ? 1 : size); }
void *operator new[](size_t size) { return operator new(size); }
void operator delete(void *block) noexcept { free(block); }
void operator delete[](void *block) noexcept { free(block); }
void operator delete(void *block, size_t) noexcept { free(block); }
void operator delete[](void *block, size_t) noexcept { free(block); }

template class std::basic_string<char>;

void std::__libcpp_verbose_abort(const char *, ...) noexcept { __builtin_trap(); }
