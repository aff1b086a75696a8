"""Origin of a component: the source that it was defined by, with a digest of it, and who provides it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import seqkit
from seqkit.distributions import distribution_of, holds_installed, package_of
from seqkit.files import sha256_of

SUFFIXES = (".py", *EXTENSION_SUFFIXES)
"""Endings of the files that a module is imported from; bytecode is read of installed ones only."""


@dataclass(frozen=True)
class Origin:
    """The source of a component as it was when the component was registered.

    Attributes:
        module: Module that defines it.
        file: File of that module; None for what was typed in, and for seqkit's own.
        sha256: Of all the source that belongs to the file; see ``sources``.
    """

    module: str
    file: Path | None = None
    sha256: str = ""

    @classmethod
    def of(cls, module: str) -> "Origin":
        """Return the origin of a module that is being imported, or was."""
        file = getattr(sys.modules.get(module), "__file__", None)
        if is_built_in(module) or file is None:
            return cls(module)
        try:
            return cls(module, Path(file).resolve(), digest(Path(file).resolve()))
        except OSError:  # the source of a frozen program, or a file that is gone again
            return cls(module)

    @property
    def provider(self) -> str:
        """Who provides it: "seqkit", a distribution with its version, a file's name, or a module."""
        if is_built_in(self.module):
            return "seqkit"
        if self.file is None:
            return self.module
        held = distribution_of(self.file)
        return f"{held.name} {held.version}" if held else package_of(self.file).name

    def to_json(self) -> dict[str, str]:
        """Return distribution and version, and file and sha256, as far as there are any; else the module."""
        if is_built_in(self.module):
            return {"distribution": "seqkit", "version": seqkit.__version__}
        if self.file is None:
            return {"module": self.module}
        held = distribution_of(self.file)
        installed = {"distribution": held.name, "version": held.version} if held else {}
        return {**installed, "file": str(self.file), "sha256": self.sha256}


def is_built_in(module: str) -> bool:
    """Whether a module is one of seqkit's own."""
    return module.partition(".")[0] == "seqkit"


def sources(file: Path) -> list[Path]:
    """Return the source that decides what a module does: its whole package, or its file and the siblings it imports."""
    package = package_of(file)
    if package.is_dir():
        return _files_in(package)
    if holds_installed(file.parent):  # beside an installed file stands all that is installed
        return [file]
    found = [file]
    for path in found:
        found += [sibling for sibling in _siblings(path, file.parent) if sibling not in found]
    return sorted(found)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())


def digest(file: Path) -> str:
    """Return the sha256 of the sources of a module's file."""
    stats = [(path, path.stat()) for path in sources(file)]
    return _digest(tuple((path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size) for path, stat in stats))


@lru_cache
def _digest(stats: tuple[tuple[Path, int, int, int], ...]) -> str:
    return sha256_of([path for path, *_ in stats])


def _siblings(file: Path, folder: Path) -> Iterator[Path]:
    """Yield the source files in a folder that a file imports: modules, and packages with or without ``__init__.py``."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # or an extension module
        return
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    for name in {name.partition(".")[0] for name in names}:
        yield from (place for suffix in SUFFIXES if (place := folder / f"{name}{suffix}").is_file())
        yield from _files_in(folder / name)
