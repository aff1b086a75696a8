"""Loading of one plugin: all of it or nothing, and a fault is one line."""

import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import seqkit
from seqkit import registry
from seqkit.distributions import package_of
from seqkit.errors import Stopped, one_line
from seqkit.plugins.record import Plugin
from seqkit.process_state import left_alone

LOG = logging.getLogger("seqkit")

loaded: dict[str, Plugin] = {}
"""Every plugin whose loading was tried in this process, by distribution and name, in this order."""


def load(plugin: Plugin, import_it: Callable[[], ModuleType]) -> Plugin:
    """Load a plugin, once in a process; what a failed import has registered is forgotten.

    Args:
        plugin: Its name and distribution, or its file, as known before the import.
        import_it: Imports its module.

    Returns:
        The plugin with its file, time and fault.
    """
    key = f"{plugin.distribution}:{plugin.name}"
    if key in loaded:
        return loaded[key]
    loaded[key] = plugin  # one that looks for others while it is imported does not find itself
    registry.load_built_in()
    started = time.perf_counter()
    module, fault = "", ""
    file = plugin.file
    try:
        # What it prints is no part of an answer.
        with registry.all_or_nothing(), redirect_stdout(sys.stderr), left_alone("its import"):
            imported = import_it()
            module, file = imported.__name__, imported.__file__ or ""
    except (KeyboardInterrupt, Stopped):
        raise
    except BaseException as error:  # SystemExit, or what a test library raises to skip
        fault = _fault(error)
    seconds = time.perf_counter() - started
    loaded[key] = replace(plugin, module=module, file=file, seconds=seconds, fault=fault)
    return loaded[key]


def warn(plugin: Plugin) -> None:
    """Say in one line that a plugin is left out, and why."""
    source = f"{plugin.name} of {plugin.distribution} {plugin.version}" if plugin.distribution else plugin.name
    LOG.warning("plugin %s is left out: %s", source, plugin.fault)


def _fault(error: BaseException) -> str:
    """Return an error of an import as one line that begins with the author's own file and line."""
    text = one_line(error)
    if isinstance(error, seqkit.SeqkitError) and ".py:" in text:
        return text
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {kind}: {error.msg}"
    place = _authors_line(error)
    text = text if isinstance(error, seqkit.SeqkitError) else f"{kind}: {text}" if text else kind
    return f"{place}: {text}" if place else text


def _authors_line(error: BaseException) -> str:
    """Return the last line of a traceback that lies in the package, or file, which it first enters."""
    own = Path(seqkit.__file__).parent
    frames = [
        (Path(frame.filename), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not frame.filename.endswith("contextlib.py")
        and "importlib" not in frame.filename
    ]
    frames = [(file, line) for file, line in frames if not file.is_relative_to(own)]
    if not frames:
        return ""
    package = package_of(frames[0][0])
    file, line = [(file, line) for file, line in frames if file.is_relative_to(package)][-1]
    return f"{file}:{line}"
