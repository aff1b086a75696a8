"""Text as token ids: from what a person gives, or from what a program gives piece by piece."""

# T time (tokens)

import codecs
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqkit.errors import ConfigError, DataError, nearest, shortened
from seqkit.files import existing_file
from seqkit.inputs.chunks import as_chunk
from seqkit.inputs.delimited import codec
from seqkit.inputs.tokens.tokenizers import Tokenizer


def read(tokenizer: Tokenizer, source: Any) -> Tensor:
    """Return the ids (T,) of a text, or of the content of a UTF-8 file.

    Raises:
        DataError: The file cannot be read, or there is no text.
        ConfigError: Something in the text has no token.
    """
    name, text = text_of(source)
    ids_T = tokenizer.encode(text)
    if not len(ids_T):
        raise DataError(f"{name}: no text to predict from")
    return ids_T


def text_of(source: Any) -> tuple[str, str]:
    """Return a text that a person gives, itself or as the path of a UTF-8 file, with a name for messages in front.

    Raises:
        DataError: The file cannot be read.
    """
    path, text = path_of(source), str(source)
    return (repr(text), text) if path is None else (text, read_text([path]))


def path_of(source: Any, endings: tuple[str, ...] = (".txt",)) -> Path | None:
    """Return the file that a person names, also one of these endings that is not there; None for a text.

    Raises as ``text_of``.
    """
    text = str(source)
    named = isinstance(source, Path) or (text.endswith(endings) and len(text.split()) == 1)
    return existing_file(text, "a UTF-8 text file") if named or os.path.isfile(text) else None


def chunk_of_tokens(tokenizer: Tokenizer, chunk: Any) -> Tensor:
    """Return a chunk, a string or token ids, as ids (T,); T may be 0."""
    if isinstance(chunk, str):
        return tokenizer.encode(chunk)
    last = len(tokenizer.vocabulary) - 1
    due = f"text, or token ids (tokens,) from 0 to {last}"
    values = as_chunk(chunk, (), due)
    if not values.numel():
        return torch.empty(0, dtype=torch.int64)
    strange = values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
    if strange or values.long().min() < 0 or values.long().max() > last:
        raise DataError(f"a chunk must be {due}; this one holds {', '.join(map(str, values.tolist()[:5]))}")
    return values.long()


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that Python does not know, or that does not keep ASCII as it is; raises ``ConfigError``."""
    try:
        same = "a,\n".encode(encoding) == b"a,\n"
    except LookupError:
        known = ("utf-8", "latin-1", "cp1252", "cp1251", "gb18030", "shift_jis")
        hint = f"{nearest(encoding, known)}Such as {', '.join(known)}"
        raise ConfigError(f"data.encoding={shortened(encoding)}: no such encoding. {hint}") from None
    if not same or codecs.lookup(encoding).name == "utf-7":
        raise ConfigError(f"data.encoding={encoding}: save the file as UTF-8")


def read_text(files: Sequence[Path], encoding: str | None = None, replace: bool = False) -> str:
    """Return the text of files, one after the other, each ending its last line.

    The line ends of Windows become ``\\n``: a ``\\r`` that always foretells the next token would flatter every score.

    Args:
        files: Of text.
        encoding: Of all of them, that of an option ``data.encoding``; None where there is none, which is UTF-8.
        replace: Replace what is no text in it, instead of refusing it.

    Raises:
        DataError: A file cannot be read, is empty or is no text.
    """
    texts = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror})") from None
        if not content:
            raise DataError(f"{file}: is empty. Expected UTF-8 text")
        text = decoded(file, content, encoding, replace)
        texts.append(text if text.endswith("\n") or len(files) == 1 else text + "\n")
    return "".join(texts)


def decoded(file: Path, content: bytes, encoding: str | None = None, replace: bool = False, start: int = 0) -> str:
    """Return the text of a file's content from byte ``start`` on, as ``read_text`` does; raises as that."""

    def where(place: int) -> str:
        line = f" (line {content.count(10, 0, place) + 1})" if start == 0 else ""
        return f"byte {start + place}{line}"

    try:
        name = encoding or "utf-8" if start else codec(encoding)  # a byte order mark stands at the start
        text = content.decode(name, "replace" if replace else "strict").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        name = (encoding or "utf-8").replace("utf-8", "UTF-8")
        other = ", or give its encoding, as data.encoding=cp1252 (Windows) or latin-1" if encoding else ""
        raise DataError(f"{file}: not {name} at {where(error.start)}; save it as UTF-8{other}") from None
    if "\0" in text:
        raise DataError(
            f"{file}: a NUL at {where(content.index(0))}, so it is no UTF-8 text but UTF-16 or a binary file"
        )
    return text
