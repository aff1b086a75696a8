"""The token after each token: language models."""

# B batch, T time, H output size of the model, V vocabulary

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqkit.contracts import Batch, DataSpec, NextToken, Scores, Tokens
from seqkit.data.batching import valid
from seqkit.errors import ConfigError
from seqkit.network import HEADS
from seqkit.registry import register_head
from seqkit.schema import Probability

SHOWN = 5  # most likely next tokens


@register_head("next_token")
class NextTokenHead(nn.Module):
    """Probabilities of the next token; cross entropy; perplexity and bits per character.

    Args:
        input_size: Output size of the model.
        spec: Of the data; tokens in, the next token out.
        causal: Whether the model sees no later step.
        dropout: Chance of each of the model's outputs to be left out in training.

    Raises:
        ConfigError: The data has another task, or the model sees the token it is to predict.
    """

    monitor: tuple[str, Literal["min", "max"]]

    def __init__(self, input_size: int, spec: DataSpec, causal: bool, *, dropout: Probability = 0.0):
        super().__init__()
        if not isinstance(spec.targets, NextToken):
            kind = type(spec.targets)
            raise ConfigError(
                f"head=next_token needs next tokens to predict, this data has {kind.__name__}; use head={HEADS[kind]}"
            )
        if not isinstance(spec.inputs, Tokens):
            raise ConfigError(
                f"head=next_token needs Tokens to read, this data gives {type(spec.inputs).__name__}; "
                "use head=forecast and data that has Series to predict"
            )
        if not causal:
            raise ConfigError(
                "head=next_token predicts the next token, which a model that reads backwards too would see; "
                "set model.bidirectional=false"
            )
        self._tokens = spec.inputs
        self.monitor = ("bits_per_character" if spec.inputs.unit == "char" else "perplexity", "min")
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, len(spec.inputs.vocabulary))

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Return logits_BTV."""
        return self.linear(self.dropout(y_BTH))

    def loss(self, logits_BTV: Tensor, lengths_B: Tensor | None, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the cross entropy in nats, summed over the valid tokens, and their number."""
        targets_BT = batch.targets
        assert targets_BT is not None
        if lengths_B is None:
            count: int | Tensor = targets_BT.numel()
        else:
            # Marking the targets, a small array, spares a copy of the logits.
            targets_BT = targets_BT.masked_fill(~valid(lengths_B, targets_BT), -100)
            count = lengths_B.sum()
        nats = nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), targets_BT.reshape(-1), ignore_index=-100, reduction="sum"
        )
        return nats, count

    def scores(self) -> Scores:
        from seqkit.scores.next_token import NextTokenScores  # torchmetrics is slow to import

        return NextTokenScores(self._tokens.unit)

    def stream(
        self, y_BTH: Tensor, batch: Batch, memory: tuple[Tensor, float, int] | None
    ) -> tuple[Tensor, dict[str, Any], tuple[Tensor, float, int]]:
        """Return the logits of new tokens of one row, what ``decode`` says of all so far, and what to remember.

        Args:
            y_BTH: New steps.
            batch: The new tokens.
            memory: What was returned with the tokens before, None at the first: the logits (1, V) after them, and the
                nats and the number of those that were predicted.
        """
        logits_TV, ids_T = self(y_BTH, None, batch)[0], batch.inputs[0]
        before_TV, nats, count = memory or (logits_TV[:0], 0.0, 0)
        predicting_TV = torch.cat((before_TV, logits_TV[:-1]))
        follow_T = ids_T[len(ids_T) - len(predicting_TV) :]
        nats += self._nats(predicting_TV, follow_T)
        count += len(follow_T)
        return logits_TV[None], self._said(logits_TV[-1], nats, count), (logits_TV[-1:].clone(), nats, count)

    def decode(self, logits_BTV: Tensor, lengths_B: Tensor | None, batch: Batch) -> list[Any]:
        """Return for each row the most likely next tokens, and how well the row itself was predicted.

        Returns:
            Dicts of ``next``, the probabilities of the likeliest tokens after the last one, and the head's score
            (bits per character, or perplexity) over the row's own tokens; a row of one token has none.
        """
        rows = []
        for row in range(len(batch)):
            steps = logits_BTV.shape[1] if lengths_B is None else int(lengths_B[row])
            logits_TV = logits_BTV[row, :steps]
            follow_T = batch.inputs[row, 1:steps] if batch.targets is None else batch.targets[row, :steps]
            nats = self._nats(logits_TV[: len(follow_T)], follow_T)
            rows.append(self._said(logits_TV[-1], nats, len(follow_T)))
        return rows

    def _nats(self, logits_TV: Tensor, tokens_T: Tensor) -> float:
        return float(nn.functional.cross_entropy(logits_TV.detach().double(), tokens_T, reduction="sum"))

    def _said(self, logits_V: Tensor, nats: float, count: int) -> dict[str, Any]:
        best, ids = logits_V.detach().double().softmax(-1).topk(min(SHOWN, len(logits_V)))
        likely = {self._tokens.vocabulary[i]: p for i, p in zip(ids.tolist(), best.tolist(), strict=True)}
        if not count:
            return {"next": likely}
        score = nats / count / math.log(2) if self._tokens.unit == "char" else math.exp(nats / count)
        return {"next": likely, self.monitor[0]: score}
