"""Decoders: from the log probabilities of each step to a text."""

# B batch, T time, V symbols and the blank

from collections.abc import Callable

import torch
from torch import Tensor

from seqkit.tasks.transcribe.ctc import BLANK


def greedy(log_probabilities_BTV: Tensor, lengths_B: Tensor | None, symbols: tuple[str, ...]) -> list[str]:
    """Decode each row by best path: argmax of every valid step, repeats merged, blanks dropped."""
    best_BT = log_probabilities_BTV.argmax(2)
    differs_BT = torch.ones_like(best_BT, dtype=torch.bool)
    differs_BT[:, 1:] = best_BT[:, 1:] != best_BT[:, :-1]
    best_BT = best_BT.where(differs_BT, BLANK)
    steps = [best_BT.shape[1]] * len(best_BT) if lengths_B is None else lengths_B.tolist()
    rows = zip(best_BT.tolist(), steps, strict=True)
    return ["".join(symbols[output - 1] for output in row[:end] if output != BLANK) for row, end in rows]


DECODERS: dict[str, Callable[[Tensor, Tensor | None, tuple[str, ...]], list[str]]] = {"greedy": greedy}
