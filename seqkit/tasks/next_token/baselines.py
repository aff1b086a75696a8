"""Baselines of language modelling: n-grams counted on the training split."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Baseline
from seqkit.tasks.next_token.metrics import text_scores
from seqkit.tasks.next_token.ngrams import ngrams

COUNTED = 2**22  # tokens of a split that is too large to be in memory; n-grams are counted and scored on its start


def baselines(tokenizer: Any, data: Any, split: Split) -> dict[str, Baseline]:
    """Return the scores of n-grams of order 1 to 5 by name.

    Args:
        tokenizer: Of the data.
        data: Set up.
        split: The split to predict.
    """
    train, ids = (_token_ids(data, name) for name in ("train", split))
    start = "" if _whole(data, "train") and _whole(data, split) else f" of {COUNTED:,} tokens"
    tokens = torch.tensor(len(ids) - 1)  # the first one is not predicted
    characters, size_in_bytes = tokenizer.sizes()[torch.from_numpy(ids[1:])].sum(0)
    found: dict[str, Baseline] = {}
    for order, loss in ngrams(train, ids, len(tokenizer.vocabulary)).items():
        nats: Tensor = torch.tensor(loss, dtype=torch.float64) * tokens
        scores = text_scores(nats, tokens, characters, size_in_bytes)
        found[f"{order}-gram{start}"] = {name: float(value) for name, value in scores.items()}
    return found


def _token_ids(data: Any, split: Split) -> np.ndarray:
    """Return the tokens of a split in order: those it has at hand, or else the first input and all targets."""
    part: Dataset = data.part(split)
    if hasattr(part, "tokens"):
        return part.tokens[: None if _whole(data, split) else COUNTED].numpy()
    batches = [data.collate([part[index]]) for index in range(len(part))]  # type: ignore[arg-type]
    targets = [
        np.asarray(batch.targets)[0, : None if batch.lengths is None else int(batch.lengths)] for batch in batches
    ]
    return np.concatenate([np.asarray(batches[0].inputs)[0, :1], *targets])


def _whole(data: Any, split: Split) -> bool:
    tokens = getattr(data.part(split), "tokens", ())
    return isinstance(tokens, Tensor) or len(tokens) <= COUNTED
