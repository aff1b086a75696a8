"""Installed distributions, and which of them a module's file belongs to."""

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import seqkit

GROUP = f"{seqkit.__name__}.plugins"
"""Group of the entry points by which a distribution names its plugin modules."""

named_folders: set[Path] = set()
"""Folders of the files that the user has named; what they import from there is compiled anew."""


def package_of(file: Path) -> Path:
    """Return the folder of the outermost package that a file belongs to, or the file itself."""
    place = file
    while (place.parent / "__init__.py").is_file():
        place = place.parent
    return place


def holds_installed(folder: Path) -> bool:
    """Whether packages are installed into a folder."""
    return any(folder.glob("*.dist-info"))


def distributions() -> Iterator[metadata.Distribution]:
    """Yield the installed distributions.

    Not searched are the current folder, which may be a stranger's, and those of files that the user has named, in which
    a build may have left the metadata of what is not installed.
    """
    left_out = {Path.cwd().resolve(), *named_folders}
    yield from metadata.distributions(path=[entry for entry in sys.path if Path(entry).resolve() not in left_out])


def distribution_of(file: Path) -> metadata.Distribution | None:
    """Return the installed distribution that a module's file belongs to; None where it is a file of the user's own."""
    name = package_of(file).name.removesuffix(".py")
    installed = list(distributions())
    for distribution in installed:
        points = distribution.entry_points.select(group=GROUP)
        if any(point.value.partition(".")[0] == name for point in points) and may_hold(distribution, file):
            return distribution
    for distribution in installed:  # last, since the list of files of some is long
        if may_hold(distribution, file) and any(
            path.parts[0] in (name, f"{name}.py") for path in _recorded(distribution)
        ):
            return distribution
    return None


def _recorded(distribution: metadata.Distribution) -> list[metadata.PackagePath]:
    """Return the files that an installation put in place; what a build leaves in a checkout lists its sources."""
    return list(distribution.files or ()) if distribution.read_text("RECORD") else []


def may_hold(distribution: metadata.Distribution, file: Path) -> bool:
    """Whether a file lies where a distribution is installed, or where its editable install points to."""
    if file.is_relative_to(Path(str(distribution.locate_file(""))).resolve()):
        return True
    try:
        direct = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(direct["url"])
        editable = direct["dir_info"]["editable"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(editable) and url.scheme == "file" and file.is_relative_to(Path(unquote(url.path)).resolve())
