// What the compilers for Windows have different words for: GCC, clang, and Microsoft's cl with its
// likeness clang-cl. Those of the latter two compile all of this as C++, as mimalloc's own build
// has them do.
#pragma once

// For functions that are called from Rust. GCC is told that it sees the whole program, and drops
// every other function that nothing here calls: most of mimalloc's interface.
#if defined(__GNUC__) && !defined(__clang__)
  #define VISIBLE __attribute__((externally_visible))
#else
  #define VISIBLE
#endif

// For functions that begin a cache line. cl aligns functions to 16 bytes, and cannot be told.
#if defined(__GNUC__) || defined(__clang__)
  #define CACHE_LINE_ALIGNED_CODE __attribute__((aligned(64)))
#else
  #define CACHE_LINE_ALIGNED_CODE
#endif

// For functions that the linker lays beside the others of a section.
#if defined(_MSC_VER)
  #define IN_CODE_SECTION(name) __declspec(code_seg(name))
#else
  #define IN_CODE_SECTION(name) __attribute__((section(name)))
#endif

// Stops the program where a debugger and a crash dump see it.
#if defined(__GNUC__) || defined(__clang__)
  #define TRAP() __builtin_trap()
#else
  #define TRAP() __fastfail(7) // FAST_FAIL_FATAL_APP_EXIT
#endif
