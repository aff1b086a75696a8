"""Carried state of all ranks, shared anew where a run goes on with another number of them."""

from collections.abc import Sequence

from torch import Tensor

Rows = Sequence[Tensor] | None  # state of a rank's rows, each tensor (L, B, H); None where none is carried


def shared_anew(saved: Sequence[Rows], size: int) -> list[Rows]:
    """Return the carried state of ``size`` ranks from that of the ranks that saved it.

    Row b of a batch was with rank b % len(saved) and goes to rank b % size.
    """
    parts = [rows for rows in saved if rows]  # not the state of a model that has none
    if not parts:
        return [None] * size
    count = sum(rows[0].shape[1] for rows in parts)
    whole = [part.new_empty(part.shape[0], count, *part.shape[2:]) for part in parts[0]]
    for rank, rows in enumerate(parts):
        for into, part in zip(whole, rows, strict=True):
            into[:, rank :: len(saved)] = part
    return [[part[:, rank::size].clone() for part in whole] if rank < count else None for rank in range(size)]
