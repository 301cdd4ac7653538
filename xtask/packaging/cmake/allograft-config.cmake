# find_package(allograft) gives the target allograft::mimalloc: mimalloc.dll, its import library and its headers, for the programs that
# are compiled, 64-bit or 32-bit. A program that links with it has the heap of its C runtime taken over, whether it calls mimalloc or not.
# Put mimalloc.dll beside the program.
include_guard(GLOBAL)

get_filename_component(_allograft_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_allograft_symbol mi_version)
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  # C functions of 32-bit programs have an underscore before their names.
  string(APPEND _allograft_root "/x86")
  string(PREPEND _allograft_symbol "_")
endif()

if(NOT EXISTS "${_allograft_root}/mimalloc.dll")
  set(allograft_FOUND FALSE)
  set(allograft_NOT_FOUND_MESSAGE "this allograft was laid out without what 32-bit programs need: there is no ${_allograft_root}/mimalloc.dll")
  return()
endif()

add_library(allograft::mimalloc SHARED IMPORTED)
set_target_properties(allograft::mimalloc PROPERTIES
  IMPORTED_LOCATION "${_allograft_root}/mimalloc.dll"
  INTERFACE_INCLUDE_DIRECTORIES "${_allograft_root}/include")

# A linker leaves out a DLL that nothing refers to.
if(MSVC)
  set_target_properties(allograft::mimalloc PROPERTIES
    IMPORTED_IMPLIB "${_allograft_root}/lib/mimalloc.dll.lib"
    INTERFACE_LINK_OPTIONS "/INCLUDE:${_allograft_symbol}")
else()
  set_target_properties(allograft::mimalloc PROPERTIES
    IMPORTED_IMPLIB "${_allograft_root}/lib/libmimalloc.dll.a"
    INTERFACE_LINK_OPTIONS "-Wl,-u,${_allograft_symbol}")
endif()

unset(_allograft_root)
unset(_allograft_symbol)
