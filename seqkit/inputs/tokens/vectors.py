"""Pretrained vectors of words, from the text files of GloVe, word2vec and fastText."""

# V vocabulary, I embedding size

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seqkit.errors import ConfigError, DataError, shortened
from seqkit.files import existing_file

FILE = "a text file with a word and its numbers per line, as GloVe and word2vec have it"


def use_vectors(path: str | None, embedding: nn.Embedding, vocabulary: Sequence[str]) -> str | None:
    """Give the words that a file has their vectors there; the others keep a random start of the same spread.

    A word that the file has not is looked for in lower case.

    Args:
        path: Of the file; None for none.
        embedding: Its weights (V, I) are changed.
        vocabulary: V words.

    Returns:
        How many of the words the file has, for a person; None without a file.

    Raises:
        DataError: A line is none of a word and I finite numbers, named by its number.
        ConfigError: The file has none of the words.
    """
    if path is None:
        return None
    place = existing_file(path, FILE)
    wanted = {*vocabulary, *map(str.lower, vocabulary)}
    size = embedding.embedding_dim
    vectors = dict(_lines(place, size, wanted))
    found = [(row, vectors.get(word, vectors.get(word.lower()))) for row, word in enumerate(vocabulary)]
    found_rows = [row for row, numbers in found if numbers is not None]
    if not found_rows:
        raise ConfigError(
            f"{place}: none of the {len(vocabulary):,} words of the vocabulary is in it; is it of another language?"
        )
    values = torch.from_numpy(np.stack([numbers for _, numbers in found if numbers is not None]))
    with torch.no_grad():
        embedding.weight.mul_(values.std() / embedding.weight.std())
        embedding.weight[found_rows] = values.to(embedding.weight)
    return f"{place} has {len(found_rows):,} of {len(vocabulary):,} words"


def _lines(path: Path, size: int, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the wanted words with their vectors; the first vector of a word counts."""
    seen = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise DataError(f"{path}, line {number}: is not UTF-8. Expected {FILE}") from None
            cells = text.rstrip().rsplit(" ", size)  # a word of GloVe may hold spaces
            if number == 1 and len(text.split()) == 2 and all(cell.isdigit() for cell in text.split()):
                held = int(text.split()[1])  # word2vec: number of words and of numbers
                if held != size:
                    raise DataError(f"{path}, line 1: vectors of {held} numbers; set frontend.size={held}")
                continue
            if len(cells) != size + 1 or not cells[0]:
                held = len(text.split()) - 1
                raise DataError(
                    f"{path}, line {number}: a word and {held} numbers, expected {size} as frontend.size says"
                )
            if number <= 2:
                _refuse_longer(path, number, cells[0], size)
            if cells[0] in wanted and cells[0] not in seen:
                seen.add(cells[0])
                try:
                    numbers = np.array(cells[1:], dtype=np.float32)
                except ValueError:
                    raise DataError(
                        f"{path}, line {number}: '{shortened(cells[0])}' with what are not {size} numbers"
                    ) from None
                if not np.isfinite(numbers).all():
                    raise DataError(f"{path}, line {number}: a number that is not finite")
                yield cells[0], numbers


def _refuse_longer(path: Path, number: int, word: str, size: int) -> None:
    """Refuse a first line with more numbers than wanted, which would be taken as part of its word."""
    parts = word.split(" ")
    more = sum(_is_number(part) for part in parts[1:])
    if more:
        raise DataError(f"{path}, line {number}: a word and {size + more} numbers; set frontend.size={size + more}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
