"""Validation and test parts drawn from samples that were given none."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from seqkit.contracts.batch import Split


def draw_parts(
    given: Sequence[Split | None], groups: Sequence[str], fractions: Mapping[Split, float], draw: torch.Generator
) -> list[Split]:
    """Return the part of each sample.

    Args:
        given: Their parts so far; those without one, and those of the training part, are drawn from.
        groups: Group of each sample, of which each part gets an even proportion: the class, say.
        fractions: Of the parts to be drawn. Each gets at least one sample of each group, but never its last one.
        draw: Generator of the draw.
    """
    members = defaultdict(list)
    for index, (part, group) in enumerate(zip(given, groups, strict=True)):
        if part in (None, "train"):
            members[group].append(index)
    parts: list[Split] = [part or "train" for part in given]
    for group in sorted(members):
        order = [members[group][i] for i in torch.randperm(len(members[group]), generator=draw).tolist()]
        for part, fraction in fractions.items():
            for _ in range(min(max(1, round(fraction * len(members[group]))), len(order) - 1)):
                parts[order.pop()] = part
    return parts
