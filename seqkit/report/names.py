"""Names of components with their options, kept between commands: finding them anew loads torch and all plugins."""

import json
import os
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import seqkit
from seqkit.distributions import GROUP, distributions
from seqkit.files import write_atomic

Names = dict[str, dict[str, dict[str, list[str]]]]
"""Of each group its names, of each name its options, of each option the values that can be listed."""


def names() -> Names:
    """Return the names of each group, as they were found when what is installed was the same as now."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "seqkit"
    file, installed = cache / "names.json", _installed()
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_bytes())
        if kept["installed"] == installed:
            return kept["names"]
    found = _found()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps({"installed": installed, "names": found}))
    return found


def _installed() -> str:
    """Return a hash of what decides the names: seqkit's own files, installed plugins, and those named for all."""
    root = Path(seqkit.__file__).parent
    files = sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*.py"))
    plugins = sorted(
        (str(one.name), one.version)
        for one in distributions()
        if any(point.group == GROUP for point in one.entry_points)
    )
    named = os.environ.get("SEQKIT_PLUGINS", "")
    ages = [Path(name).stat().st_mtime_ns for name in named.split(os.pathsep) if Path(name).exists()]
    return sha256(repr((sys.prefix, files, plugins, named, ages)).encode()).hexdigest()


def _found() -> Names:
    from seqkit import plugins, presets, registry, schema

    plugins.found()  # loads them
    found: Names = {"experiment": {name: {} for name in presets.summaries("experiment")}}
    for kind in registry.KINDS:
        found[kind] = {
            name: {option.name: _values(option.type) for option in schema.options(component.factory)}
            for name, component in registry.components(kind).items()
        }
    found["trainer"] |= {name: found["trainer"].get(name, {}) for name in presets.summaries("trainer")}
    return found


def _values(kind: Any) -> list[str]:
    """Return the values of a type that has a few."""
    if kind is bool:
        return ["true", "false"]
    if kind is type(None):
        return ["null"]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    parts = get_args(kind) if str(get_origin(kind)) in ("<class 'types.UnionType'>", "typing.Union") else ()
    return [value for part in parts for value in _values(part)]
