# A DLL replaces the heap of a process, so a static library of it would make no sense.
vcpkg_check_linkage(ONLY_DYNAMIC_LIBRARY)

vcpkg_download_distfile(archive
  URLS "@URL@"
  FILENAME "@FOLDER@.zip"
  SHA512 @SHA512@)
vcpkg_extract_source_archive(root ARCHIVE "${archive}")

set(files "${root}")
if(VCPKG_TARGET_ARCHITECTURE STREQUAL "x86")
  string(APPEND files "/x86")
endif()

# One build serves both configurations: its interface is C's, and nothing of it depends on the
# program's runtime.
set(prefixes "${CURRENT_PACKAGES_DIR}")
if(NOT DEFINED VCPKG_BUILD_TYPE)
  list(APPEND prefixes "${CURRENT_PACKAGES_DIR}/debug")
endif()
foreach(prefix IN LISTS prefixes)
  file(INSTALL "${files}/mimalloc.dll" DESTINATION "${prefix}/bin")
  file(INSTALL "${files}/lib/mimalloc.dll.lib" "${files}/lib/libmimalloc.dll.a"
    DESTINATION "${prefix}/lib")
endforeach()
file(INSTALL "${files}/include/" DESTINATION "${CURRENT_PACKAGES_DIR}/include")
file(INSTALL "${root}/lib/cmake/allograft/" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage"
  DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${root}/LICENSE" "${root}/licences/mimalloc/LICENSE")
