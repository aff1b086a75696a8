"""Metrics of tagging: accuracy of the steps, and precision, recall and F1 of spans."""

# B batch, T time, C tags, K types of spans

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.padding import valid
from seqkit.tasks.tag.prediction import TagPrediction
from seqkit.tasks.tag.spans import OUTSIDE, PLACES, are_spans, parse, spans


class TagMetrics(Metric):
    """Accuracy per step, mean negative log likelihood, and where the tags mark spans their F1 by conlleval's rules.

    ``confusion`` (C, C) counts the steps of each true tag (row) by the tag predicted for them (column).

    Args:
        names: Of the tags.
    """

    full_state_update = False
    confusion: Tensor  # (C, C)
    nats: Tensor
    scored: Tensor  # steps with a likelihood
    spans: Tensor  # true, predicted, and both
    place_C: Tensor
    type_C: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.has_spans = are_spans(names)
        if self.has_spans:
            place_C, type_C, _ = parse(names)
            self.register_buffer("place_C", place_C, persistent=False)
            self.register_buffer("type_C", type_C, persistent=False)
        size = len(names)
        self.add_state("confusion", torch.zeros(size, size, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("scored", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("spans", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: TagPrediction, batch: Batch) -> None:
        """Add a batch to the counts."""
        true_BT, found_BT = batch.targets, prediction.tags_BT
        assert true_BT is not None
        mask_BT = valid(prediction.lengths_B, true_BT)
        size = len(self.confusion)
        pairs_N = true_BT[mask_BT] * size + found_BT[mask_BT]
        self.confusion += torch.bincount(pairs_N, minlength=size**2).view(size, size)
        if prediction.nats_B is not None:
            self.nats += prediction.nats_B.double().sum()
            self.scored += mask_BT.sum()
        if self.has_spans:
            (due_BT, due_end_BT, due_type_BT), (got_BT, got_end_BT, got_type_BT) = (
                self._spans(tags_BT, mask_BT) for tags_BT in (true_BT, found_BT)
            )
            both_BT = due_BT & got_BT & (due_end_BT == got_end_BT) & (due_type_BT == got_type_BT)
            self.spans += torch.stack([due_BT.sum(), got_BT.sum(), both_BT.sum()])

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name; ``loss`` is in nats per step."""
        hits = self.confusion.diagonal().sum().double()
        scores = {"accuracy": hits / self.confusion.sum(), "loss": self.nats / self.scored}
        if not self.has_spans:
            return scores
        true, found, both = self.spans.double()
        ratios = {"f1": 2 * both / (true + found), "precision": both / found, "recall": both / true}
        return {name: value.nan_to_num(0) for name, value in ratios.items()} | scores

    def _spans(self, tags_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place_BT = self.place_C[tags_BT].masked_fill(~mask_BT, PLACES.index(OUTSIDE))
        type_BT = self.type_C[tags_BT].masked_fill(~mask_BT, -1)
        return *spans(place_BT, type_BT), type_BT
