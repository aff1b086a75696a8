"""Faults of plugins in one line: the component, the author's file and line, the error."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from seqkit.errors import PluginError, one_line, shortened, shown
from seqkit.registry import Component, plugins

OURS = Path(__file__).resolve().parent
LIBRARY = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages

Frame = tuple[str, CodeType, int]
"""Module, code and line of a frame in a traceback."""


LONGEST = 300  # characters of an error's message that are told


def brief(error: BaseException) -> str:
    """Return an error's type and message on one line, cut off where it is long."""
    return f"{type(error).__name__}: {shortened(one_line(error), LONGEST)}"


def said(error: BaseException) -> str:
    """Return an error's type and message, and its author's file and line where there is one, on one line."""
    place = author_line(error)
    return f"{brief(error)} ({place})" if place else brief(error)


def fault(error: BaseException, part: str = "") -> PluginError | None:
    """Return the refusal of a plugin that raised ``error``; None where no line of its author is in the traceback.

    Args:
        error: As it was caught.
        part: What was being done, for an error that no registered component is in, "the figures" say.
    """
    place = author_line(error)
    if not place:
        return None
    component, method = _component(_author_frames(error))
    doing = f"{component}: {method}" if component else part or method
    return PluginError(f"{doing} fails ({place}): {brief(error)}")


def author_line(error: BaseException) -> str:
    """Return the innermost line of a plugin in a traceback as FILE:LINE, or an empty string."""
    frames = _author_frames(error)
    if not frames:
        return ""
    _, code, line = frames[-1]
    return f"{shown(Path(code.co_filename))}:{line}"


def _author_frames(error: BaseException) -> list[Frame]:
    """Return the frames of packages that registered a component, or else those that no package installed."""
    frames = [frame for frame in _frames(error) if not _file(frame).is_relative_to(OURS)]
    packages = {component.module.partition(".")[0] for component in plugins()}
    theirs = [frame for frame in frames if frame[0].partition(".")[0] in packages]
    return theirs or [frame for frame in frames if _is_written_here(_file(frame))]


def _is_written_here(file: Path) -> bool:
    """Whether a file is there, and no package that is installed nor Python itself has brought it."""
    return file.is_file() and not INSTALLED & {*file.parts} and not any(map(file.is_relative_to, LIBRARY))


def _file(frame: Frame) -> Path:
    return Path(frame[1].co_filename).resolve()


def _frames(error: BaseException) -> Iterator[Frame]:
    trace = error.__traceback__
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__")), trace.tb_frame.f_code, trace.tb_lineno
        trace = trace.tb_next


def _component(frames: list[Frame]) -> tuple[str, str]:
    """Return the outermost component in these frames as KIND=NAME, or "", and its method or function."""
    for module, code, _ in frames:
        for component in plugins():
            if module == component.module and _holds(component, code):
                inner = code.co_qualname.removeprefix(component.qualname).removeprefix(".<locals>").strip(".")
                return f"{component.kind}={component.name}", inner or "building it"
    return "", frames[0][1].co_qualname


def _holds(component: Component, code: CodeType) -> bool:
    return code.co_qualname == component.qualname or code.co_qualname.startswith(f"{component.qualname}.")
