"""The token after each token: language models."""

# B batch, T time, H output size of the model, V vocabulary

import math
from typing import Any, Literal

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

    def decode(self, logits_BTV: Tensor, lengths_B: Tensor | None, batch: Batch) -> list[Any]:
        """Return for each row the most likely next tokens, and how well the row itself was predicted.

        Returns:
            Dicts of ``next``, the probabilities of the likeliest tokens after the last one, and the head's score
            (bits per character, or perplexity) over the row's own tokens; a row of one token has none.
        """
        rows = []
        for row in range(len(batch)):
            steps = logits_BTV.shape[1] if lengths_B is None else int(lengths_B[row])
            log_p_TV = logits_BTV[row, :steps].detach().double().log_softmax(-1)
            follow_T = batch.inputs[row, 1:steps] if batch.targets is None else batch.targets[row, :steps]
            best, ids = log_p_TV[-1].exp().topk(min(SHOWN, log_p_TV.shape[1]))
            likely = {self._tokens.vocabulary[i]: p for i, p in zip(ids.tolist(), best.tolist(), strict=True)}
            found: dict[str, Any] = {"next": likely}
            if len(follow_T):
                nats = -float(log_p_TV[: len(follow_T)].gather(1, follow_T[:, None]).mean())
                found[self.monitor[0]] = nats / math.log(2) if self._tokens.unit == "char" else math.exp(nats)
            rows.append(found)
        return rows
