"""The user's files: checked before they are read, written so that they are never seen half done."""

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager, suppress
from hashlib import file_digest, sha256
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from seqkit.errors import DataError, nearest, shortened
from seqkit.interrupting import reached

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}(?=[^/])")

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
"""Errors of a disk that is full or cannot be written."""

TEMPORARY = ".*.tmp"
"""Pattern of the names under which files are written."""


def cache_folder() -> Path:
    """Return the folder for what can be made again: compiled loops, measured times, tokenised texts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "seqkit"


def existing_file(path: str | Path, what: str) -> Path:
    """Return ``path`` if a regular file is there.

    Args:
        path: As the user gave it; ``~`` is the home folder.
        what: What is expected there, with its article: "a CSV or Parquet file".

    Raises:
        DataError: There is none; the message gives the path, the nearest name in that folder and what is expected.
    """
    place = _expanded(path, what)
    if place.is_file():
        return place
    if place.is_dir():
        raise DataError(f"{place}: is a folder. Expected {what}")
    raise _missing(place, "file", what)


def existing_folder(path: str | Path, what: str) -> Path:
    """Return ``path`` if a folder is there.

    Args:
        path: As the user gave it; ``~`` is the home folder.
        what: What is expected there, with its article: "a folder of WAV files".

    Raises:
        DataError: There is none; the message gives the path, the nearest name in that folder and what is expected.
    """
    place = _expanded(path, what)
    if place.is_dir():
        return place
    if place.exists():
        raise DataError(f"{place}: is not a folder. Expected {what}")
    raise _missing(place, "folder", what)


def existing(path: str | Path, what: str) -> Path:
    """Return ``path`` if a regular file or a folder is there, and refuse it as ``existing_file`` does if not."""
    place = _expanded(path, what)
    if place.is_file() or place.is_dir():
        return place
    raise _missing(place, "file or folder", what)


@contextmanager
def atomic(path: str | Path, keep: int = 1) -> Iterator[BinaryIO]:
    """Yield a binary file whose content becomes ``path`` at the end, all of it or, after an exception, none.

    A reader, or a crash or a loss of power at any moment, sees the old content or the new, whole. The file has a
    ``name``, for a library that writes by path.

    Args:
        path: Where; its folder must be there.
        keep: Contents to keep, the new one among them; the older ones go by the names of ``older``, and between two
            of its renames a crash may leave the newest whole content under the first of those.
    """
    place = Path(path)
    # In the same folder, because os.replace is atomic only within one file system.
    draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _make_room(place, keep)
        reached("renaming", place.name)
        os.replace(draft, place)
        reached("renamed", place.name)
        sync_folder(place.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def older(path: Path) -> list[Path]:
    """Return the older contents of a file that are kept, from the newest: ``a-1.b``, ``a-2.b`` of ``a.b``."""
    numbers = re.compile(rf"{re.escape(path.stem)}-(\d+){re.escape(path.suffix)}")
    found = [(int(match[1]), entry) for entry in path.parent.glob("*") if (match := numbers.fullmatch(entry.name))]
    return [entry for _, entry in sorted(found)]


def sync_folder(folder: Path) -> None:
    """Let the names of the files in a folder survive a loss of power, where its file system can do that."""
    file = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)


def write_atomic(path: str | Path, content: str | bytes) -> None:
    """Write a file whole or not at all; see ``atomic``.

    Args:
        path: Where; its folder must be there.
        content: Text is written as UTF-8.
    """
    with atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a folder the current one, if it is there.

    Nothing is imported from it: an empty entry of ``sys.path``, as notebooks have it, stays what it was.
    """
    if not folder.is_absolute() or not folder.is_dir():
        yield
        return
    here = os.getcwd()
    at = [number for number, entry in enumerate(sys.path) if not entry]
    for number in at:
        sys.path[number] = here
    try:
        with chdir(folder):
            yield
    finally:
        for number in at:
            sys.path[number] = ""


def disk_reason(error: OSError) -> str:
    """Return why a file could not be written, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).lower()


def sha256_of(paths: Iterable[str | Path]) -> str:
    """Return the sha256 of one file's content, as ``sha256sum`` prints it; of several, that of their sha256s."""
    digests = []
    for path in paths:
        with Path(path).open("rb") as file:
            digests.append(file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()


def _make_room(path: Path, keep: int) -> None:
    """Rename the contents of a file by one place, the oldest first; those beyond ``keep`` go."""
    names = [path, *(path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, keep))]
    for newer, place in reversed(list(pairwise(names))):
        if newer.exists():
            os.replace(newer, place)
    for entry in older(path) if keep > 1 else ():
        if entry not in names:
            entry.unlink()


def _expanded(path: str | Path, what: str) -> Path:
    """Return ``path`` with ``~`` expanded, refusing text that no file on this machine can be named by."""
    text = str(path)
    if text == "" or "\0" in text:
        why = "a path cannot be empty; is the variable set?" if text == "" else "a path cannot hold a NUL character."
        raise DataError(f"'{shortened(text)}': {why} Expected {what}")
    if URL.match(text):
        raise DataError(f"{text}: is a URL, and seqkit reads files on this machine only. Download it. Expected {what}")
    try:
        place = Path(text).expanduser()
        place.exists()
    except RuntimeError:  # ~name of no user
        raise DataError(f"{text}: there is no such home folder. Expected {what}") from None
    except OSError as error:
        raise DataError(f"{shortened(text)}: cannot be opened ({error.strerror}). Expected {what}") from None
    return place


def _missing(place: Path, kind: str, what: str) -> DataError:
    if place.exists():
        return DataError(f"{place}: is not a regular file. Expected {what}")
    if place.is_symlink():
        return DataError(f"{place}: is a link to nothing. Expected {what}")
    folder, name = place.parent, place.name
    while not folder.is_dir():  # the deepest folder that is there tells where the path goes wrong
        folder, name = folder.parent, folder.name
    try:
        hint = nearest(name, sorted(os.listdir(folder)))
    except OSError:  # a folder that may not be listed has no names to offer
        hint = ""
    missing = "" if folder == place.parent else f" (there is no '{name}' in {folder})"
    return DataError(f"{place}: no such {kind}{missing}. {hint}Expected {what}")
