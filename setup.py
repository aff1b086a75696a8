"""The loops in C, compiled into the wheel; all else about the package stands in pyproject.toml.

A wheel holds one library per dtype and target (on x86-64 its levels v2, v3 and v4), of which seqkit takes the best at
run time. Where they cannot be compiled the wheel is pure Python. An editable installation compiles on first use.
"""

import os
import re
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

FUSED = Path("seqkit/models/backends/fused")
compiling = runpy.run_path(str(FUSED / "compiling.py"))


class BuildLoops(Command):
    """Compile the loops for all targets of this platform, or for none."""

    description = "compile the loops in C"
    user_options = ()
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Compile; what an earlier build has left is deleted first."""
        for old in self.libraries():
            old.unlink()
        if self.editable_mode or not sys.platform.startswith("linux"):
            return
        folder = Path(self.build_lib, FUSED)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [
            (folder / compiling["file_name"](target, number), target, number)
            for target in compiling["wheel_targets"]()
            for number in compiling["NUMBERS"]
        ]
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda one: compiling["compile_loops"](*one), wanted))
        except compiling["UnavailableError"] as error:
            for made in self.libraries():
                made.unlink()
            self.warn(f"a wheel without compiled loops, which will run in torch or be compiled on first use: {error}")

    def libraries(self) -> list[Path]:
        """Return the libraries that are there."""
        return sorted(Path(self.build_lib, FUSED).glob("*.so"))

    def get_source_files(self) -> list[str]:
        return [str(FUSED / name) for name in ("recurrence.c", "recurrence.h", "compiling.py")]

    def get_outputs(self) -> list[str]:
        return [] if self.editable_mode else [str(path) for path in self.libraries()]

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class Build(build):
    """Build the Python files, then the loops."""

    sub_commands = (*build.sub_commands, ("build_loops", None))


class BuildWheel(bdist_wheel):
    """Make a wheel for any Python: of this platform with compiled loops, of any without."""

    def run(self) -> None:
        self.run_command("build")
        if self.get_finalized_command("build_loops").libraries():
            self.distribution.has_ext_modules = lambda: True  # from here on its files go to platlib
            self.root_is_pure = False
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        if self.root_is_pure:
            return python, abi, platform
        libraries = self.get_finalized_command("build_loops").libraries()
        return self.python_tag, "none", platform if self.plat_name_supplied else platform_tag(platform, libraries)


def platform_tag(platform: str, libraries: list[Path]) -> str:
    """Return the manylinux tag (PEP 600) of the oldest glibc, from 2.17, that has all symbols of the libraries.

    They need no library but glibc, as torch defines their OpenMP symbols. Without glibc the platform stays as it is.
    """
    held = b"".join(path.read_bytes() for path in libraries)
    needed = [(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", held)]
    if not needed or b"GLIBC_ABI" in held:
        return platform
    return platform.replace("linux", "manylinux_{}_{}".format(*max((2, 17), *needed)), 1)


setup(cmdclass={"build": Build, "build_loops": BuildLoops, "bdist_wheel": BuildWheel})
