"""One voice for every refusal: a single line that says what is wrong, where, and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class SeqkitError(ValueError):
    """A refusal that a user can act on; the command line prints it without a traceback."""


class ConfigError(SeqkitError):
    """An option, a name or a combination of components that cannot work."""


class DataError(SeqkitError):
    """A file, a row or a value in the data that cannot be used."""


class PluginError(SeqkitError):
    """A component whose class or function breaks the contract that registration asks for."""


class TrainingError(SeqkitError):
    """Training that cannot go on: a loss that is not a number, a run that cannot be continued."""


class Stopped(BaseException):
    """Training was asked to stop, and did. Like ``KeyboardInterrupt`` no error, and not caught as one.

    Args:
        reason: Name of the request, a signal's say.
        step: Finished optimizer steps, saved; None where it was outside the training.
        folder: Of the run; None before there is one.
    """

    CODE = 75  # of the process: EX_TEMPFAIL of sysexits.h, to be started again

    def __init__(self, reason: str, step: int | None, folder: Path | None) -> None:
        super().__init__(f"stopped by {reason}" + ("" if step is None else f" at step {step}, saved"))
        self.reason, self.step, self.folder = reason, step, folder
        self.again = f"seqkit resume {shown(folder)}" if folder else ""  # what goes on with it
        self.code = 130 if reason == "SIGINT" else self.CODE


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'? "`` for the name in ``known`` closest to ``name``, or an empty string."""
    by_lower = {own.lower(): own for own in known}
    match = get_close_matches(name[:1000].lower(), by_lower, n=1)
    return f"Did you mean '{by_lower[match[0]]}'? " if match else ""


def shortened(text: object, width: int = 60) -> str:
    """Return a quoted value fit for one line: control characters escaped, the end cut off beyond ``width``."""
    whole = str(text)
    start = "".join(char if char.isprintable() else repr(char)[1:-1] for char in whole[:width])
    return start if len(whole) <= width else f"{start}... ({len(whole):,} characters)"


def one_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())


def shown(place: Path) -> Path:
    """Return a place as a person would type it in the current folder."""
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place


def unknown(what: str, name: str, known: Iterable[str], otherwise: str = "") -> ConfigError:
    """Build the refusal of a name that is not among ``known``; ``otherwise`` ends it where none of them is near."""
    known = sorted(known)
    near = nearest(name, known)
    more = f"; {otherwise}" if otherwise and not near else ""
    return ConfigError(f"no {what} '{shortened(name)}'. {near}Known: {', '.join(known)}{more}")
