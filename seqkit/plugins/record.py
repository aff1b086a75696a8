"""The record of a plugin: where it came from, what it gave, what was wrong with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqkit import registry
from seqkit.distributions import package_of


@dataclass(frozen=True)
class Plugin:
    """A plugin that was loaded, or could not be.

    Attributes:
        name: Of its entry point, or the file, folder or module as it was named.
        distribution: That holds it; empty for a file of the user's own.
        version: Of the distribution.
        module: Its module; empty where that could not be imported.
        file: File of the module.
        seconds: That its import took.
        fault: Why it could not be loaded, in one line with file and line; empty where it was.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    file: str = ""
    seconds: float = 0.0
    fault: str = ""

    @property
    def provider(self) -> str:
        """Distribution and version, or the name of its file."""
        if self.distribution:
            return f"{self.distribution} {self.version}"
        return package_of(Path(self.file or self.name)).name

    @property
    def components(self) -> tuple[str, ...]:
        """What it registered, as "model=mgu"."""
        package = self.module.partition(".")[0]
        return tuple(
            f"{kind}={name}"
            for kind in (*registry.KINDS, *registry.SPEC_KINDS)
            for name, component in registry.components(kind).items()
            if package and component.module.partition(".")[0] == package
        )

    @property
    def presets(self) -> tuple[str, ...]:
        """The presets in its ``conf/``, as "experiment=mine"."""
        folder = self.preset_folder
        return tuple("=".join(name.rsplit("/", 1)) for name in presets_in(folder)) if folder else ()

    @property
    def preset_folder(self) -> Path | None:
        """Its ``conf/``: in its package, or beside the file that a user names."""
        file = Path(self.file)
        if self.fault or not self.file or (self.distribution and file.name != "__init__.py"):
            return None  # beside an installed file stand the folders of all that is installed
        folder = file.parent / "conf"
        return folder.resolve() if folder.is_dir() else None


def presets_in(folder: Any, prefix: str = "") -> list[str]:
    """Return the presets in a folder, a path or a resource of a package, as "group/name", sorted."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("__"):
            found += presets_in(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            found.append(prefix + entry.name.removesuffix(".yaml"))
    return found
