"""Tokens: symbols from a vocabulary."""

# T time (tokens)

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqkit.inputs.tokens.reading import chunk_of_tokens, read
from seqkit.inputs.tokens.tokenizers import Tokenizer
from seqkit.registry import register_inputs


@register_inputs("tokens")
@dataclass(frozen=True)
class Tokens:
    """Token ids of a text, by a tokenizer.

    Attributes:
        tokenizer: With its vocabulary.
        max_tokens: Tokens of a sequence that are read, from its start; None is all.
    """

    frontend: ClassVar[str] = "embedding"
    endings: ClassVar[tuple[str, ...]] = (".txt",)
    cells: ClassVar[str] = "texts"
    meaning: ClassVar[str] = "tokens: places in spec.inputs.tokenizer.vocabulary"
    example_steps: ClassVar[int] = 50
    tokenizer: Tokenizer
    max_tokens: int | None = None

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.tokenizer.vocabulary

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return the ids (T,) of a string, or of the content of a UTF-8 file."""
        ids_T = read(self.tokenizer, source)[: self.max_tokens]
        return ids_T[-lookback:] if lookback else ids_T

    def read_cell(self, cell: str, folder: Path) -> Tensor:
        """Return the ids (T,) of the text in a cell of a table."""
        return self.tokenizer.encode(cell)[: self.max_tokens]

    def chunk(self, chunk: Any) -> Tensor:
        return chunk_of_tokens(self.tokenizer, chunk)

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        return torch.randint(len(self.vocabulary), (rows, steps), generator=draw)
