import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, get


class AllograftConan(ConanFile):
    name = "allograft"
    version = "@VERSION@"
    description = "@SUMMARY@"
    license = "MIT"
    homepage = "@HOME@"
    topics = ("allocator", "heap", "malloc", "mimalloc")
    package_type = "shared-library"
    settings = "os", "arch", "compiler", "build_type"

    def validate(self):
        if self.settings.os != "Windows" or self.settings.arch not in ("x86_64", "x86"):
            raise ConanInvalidConfiguration("allograft is for Windows on x86-64 and x86")

    def package_id(self):
        # One build serves every compiler: its interface is C's.
        del self.info.settings.compiler
        del self.info.settings.build_type

    def build(self):
        get(self, "@URL@", sha256="@SHA256@", strip_root=True)

    def package(self):
        root = self.build_folder
        files = os.path.join(root, "x86") if self.settings.arch == "x86" else root
        copy(self, "mimalloc.dll", files, os.path.join(self.package_folder, "bin"))
        copy(self, "*mimalloc.dll.*", os.path.join(files, "lib"),
             os.path.join(self.package_folder, "lib"), keep_path=False)
        copy(self, "*.h", os.path.join(files, "include"),
             os.path.join(self.package_folder, "include"))
        licences = os.path.join(self.package_folder, "licenses")
        copy(self, "LICENSE", root, licences)
        copy(self, "LICENSE", os.path.join(root, "licences", "mimalloc"),
             os.path.join(licences, "mimalloc"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "allograft")
        self.cpp_info.set_property("cmake_target_name", "allograft::mimalloc")
        self.cpp_info.set_property("pkg_config_name", "allograft")
        self.cpp_info.libs = ["mimalloc.dll"]
        # A linker leaves out a DLL that nothing refers to.
        symbol = "_mi_version" if self.settings.arch == "x86" else "mi_version"
        microsoft = self.settings.compiler == "msvc"
        self.cpp_info.exelinkflags = [f"/INCLUDE:{symbol}" if microsoft else f"-Wl,-u,{symbol}"]
