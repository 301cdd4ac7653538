# find_package(allograft) gives the target allograft::mimalloc: mimalloc.dll, its import library and its headers. A program that links
# with it has the heap of its C runtime taken over, whether it calls mimalloc or not. Put mimalloc.dll beside the program.
include_guard(GLOBAL)

if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(allograft_FOUND FALSE)
  set(allograft_NOT_FOUND_MESSAGE "allograft is for 64-bit programs (x86-64) only")
  return()
endif()

get_filename_component(_allograft_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

add_library(allograft::mimalloc SHARED IMPORTED)
set_target_properties(allograft::mimalloc PROPERTIES
  IMPORTED_LOCATION "${_allograft_root}/mimalloc.dll"
  INTERFACE_INCLUDE_DIRECTORIES "${_allograft_root}/include")

# A linker leaves out a DLL that nothing refers to.
if(MSVC)
  set_target_properties(allograft::mimalloc PROPERTIES
    IMPORTED_IMPLIB "${_allograft_root}/lib/mimalloc.dll.lib"
    INTERFACE_LINK_OPTIONS "/INCLUDE:mi_version")
else()
  set_target_properties(allograft::mimalloc PROPERTIES
    IMPORTED_IMPLIB "${_allograft_root}/lib/libmimalloc.dll.a"
    INTERFACE_LINK_OPTIONS "-Wl,-u,mi_version")
endif()

unset(_allograft_root)
