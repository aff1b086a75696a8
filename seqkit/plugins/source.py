"""Import of a named plugin from its source: bytecode beside it, which no digest covers, could hold any other code."""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from seqkit.distributions import named_folders


class _SourceLoader(SourceFileLoader):
    """Compiles the source at each import, and neither reads nor writes ``__pycache__``."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def from_source(folder: Path) -> None:
    """Let the modules in a folder, and in the packages in it, be imported from their source alone."""
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    named_folders.add(folder.resolve())
    for entry in [entry for entry in sys.path_importer_cache if Path(entry).resolve().is_relative_to(folder.resolve())]:
        del sys.path_importer_cache[entry]


def _finder(folder: str) -> FileFinder:
    if not any(Path(folder).resolve().is_relative_to(named) for named in named_folders):
        raise ImportError(folder)  # the finder of every other folder is Python's own
    return FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, SOURCE_SUFFIXES))
