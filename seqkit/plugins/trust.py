"""Which code a saved run may load unasked: installed plugins, and files that this user has used before.

Nothing is ever loaded from where the run says it came from. Its words choose among what this user trusts already.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import seqkit
from seqkit.errors import shortened
from seqkit.origin import digest
from seqkit.plugins import memory
from seqkit.plugins.installed import load_entry_point, of_distribution
from seqkit.plugins.named import load_file


def load(origin: Mapping[str, Any]) -> str:
    """Load the plugin that a saved run says a component came from, if this user trusts it.

    Args:
        origin: As ``Origin.to_json`` gave it, or anything else: a stranger may have written it.

    Returns:
        For the case that this was not enough, where it came from and what would be: the end of a sentence.
    """
    distribution, version = _text(origin, "distribution", r"[\w.-]+"), _text(origin, "version", r"[\w.!+-]+")
    file, sha256 = _text(origin, "file", r".+"), _text(origin, "sha256", r"[0-9a-f]{64}")
    if distribution:
        return _load_installed(distribution, version)
    if file and sha256:
        return _load_file(file, sha256)
    module = _text(origin, "module", r".+")
    if module:
        came = f"was defined in {shortened(module)}, which is no file"
        return f"{came}; define it here first, or keep it in a file and name that with --plugin"
    return "is not registered here, and the run does not say where it came from"


def _text(origin: Mapping[str, Any], key: str, pattern: str) -> str:
    value = origin.get(key)
    return value if isinstance(value, str) and len(value) < 4096 and re.fullmatch(pattern, value) else ""


def _load_installed(distribution: str, version: str) -> str:
    came = f"came from {shortened(distribution)} {shortened(version)}".rstrip()
    if distribution == "seqkit":
        return f"{came}, this is seqkit {seqkit.__version__}"
    points = of_distribution(distribution)
    for found, point in points:
        load_entry_point(found, point)
    if points:
        return f"{came}; what is installed here is {points[0][0].name} {points[0][0].version}, without it"
    pinned = f"{distribution}=={version}" if version else distribution
    return f"{came}, which is not installed here as a plugin: pip install {pinned}"


def _load_file(file: str, sha256: str) -> str:
    remembered = [Path(path) for path in memory.files_of(sha256)]
    there = [path for path in remembered if path.is_file() and path == path.resolve()]
    known = [path for path in there if str(path) in memory.files_of(digest(path))]
    for path in known:
        load_file(path)
    if known:
        return f"came from {known[-1]}, which does not register it any more"
    if there:
        return (
            f"came from {there[-1]}, which has changed since you used it; if you trust it as it is now: "
            f"seqkit --plugin {quote(str(there[-1]))} COMMAND ..."
        )
    if remembered:
        return f"came from {remembered[-1]}, which is gone; say where it is now: seqkit --plugin FILE COMMAND ..."
    return (
        f"came from {shortened(file, 200)} (sha256 {sha256[:8]}...), which you have not used here; "
        f"if you trust it: seqkit --plugin {quote(shortened(file, 200))} COMMAND ..."
    )
