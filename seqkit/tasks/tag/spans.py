"""Spans of tags such as B-LOC, I-LOC, O, by the rules of conlleval (Tjong Kim Sang and Buchholz 2000)."""

# B batch, T time, C tags

import re
from collections.abc import Sequence

import torch
from torch import Tensor

SPAN = re.compile(r"([BIESLU])-(.+)")
OUTSIDE = "O"
PLACES = "BIESO"  # of a tag in a span: beginning, inside, end, single, outside
SYNONYMS = {"L": "E", "U": "S"}  # of BILOU


def are_spans(names: Sequence[str]) -> bool:
    """Whether tags mark spans: each is O, or B-, I-, E-, S- (or L-, U-) and a type."""
    return any(SPAN.fullmatch(name) for name in names) and all(
        name == OUTSIDE or SPAN.fullmatch(name) for name in names
    )


def parse(names: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
    """Return of each tag its place in ``PLACES``, place_C, and the number of its type, type_C, and the types.

    The type of O is -1.
    """
    places, kinds = [], []
    for name in names:
        match = SPAN.fullmatch(name)
        place, kind = (SYNONYMS.get(match[1], match[1]), match[2]) if match else (OUTSIDE, "")
        places.append(PLACES.index(place))
        kinds.append(kind)
    types = sorted({*kinds} - {""})
    return torch.tensor(places), torch.tensor([types.index(kind) if kind else -1 for kind in kinds]), types


def spans(place_BT: Tensor, type_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return start_BT, whether a span begins at each step, and end_BT, the last step of the one that does.

    A span begins at B and S, at I and E after an outside, an end or another type; it ends before O, B, S, another type,
    or the end of the row, and after E and S. The padding is outside.
    """
    begin, inside, end, single, outside = range(len(PLACES))
    before_BT, after_BT = _moved(place_BT, 1, outside), _moved(place_BT, -1, outside)
    other_before_BT, other_after_BT = (type_BT != _moved(type_BT, by, -1) for by in (1, -1))
    within_BT = place_BT != outside
    opened_BT = _among(before_BT, end, single, outside) & _among(place_BT, inside, end)
    start_BT = within_BT & (_among(place_BT, begin, single) | opened_BT | other_before_BT)
    closed_BT = _among(place_BT, begin, inside) & _among(after_BT, begin, single, outside)
    last_BT = within_BT & (_among(place_BT, end, single) | closed_BT | other_after_BT)
    steps = place_BT.shape[1]
    step_BT = torch.arange(steps, device=place_BT.device).expand_as(place_BT)
    end_BT = step_BT.masked_fill(~last_BT, steps).flip(1).cummin(1).values.flip(1)
    return start_BT, end_BT


def _moved(values_BT: Tensor, by: int, fill: int) -> Tensor:
    """Return values of the step before (``by=1``) or after (``by=-1``), ``fill`` beyond the rows."""
    edge_B1 = torch.full_like(values_BT[:, :1], fill)
    return torch.cat((edge_B1, values_BT[:, :-1]), 1) if by == 1 else torch.cat((values_BT[:, 1:], edge_B1), 1)


def _among(values: Tensor, *wanted: int) -> Tensor:
    return torch.isin(values, torch.tensor(wanted, device=values.device))
