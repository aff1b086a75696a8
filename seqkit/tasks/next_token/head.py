"""Language modelling head: a linear layer over the vocabulary."""

# B batch, T time, H output size of the model, V vocabulary

import math
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.dropout import LockedDropout
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.padding import valid
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.next_token.adaptive import AdaptiveSoftmax
from seqkit.tasks.next_token.prediction import TokenPrediction
from seqkit.tasks.next_token.spec import NextToken

Memory = tuple[Tensor, float, int, int]
"""Of a stream: the logits (1, V) after it; the nats, characters and number of the tokens that were predicted."""


@register_head("next_token")
class NextTokenHead(nn.Module):
    """Probabilities of the next token, by cross-entropy.

    Args:
        output_size: Output size of the model.
        spec: Of the data; tokens in, the next token out.
        causal: Whether the model is unidirectional.
        dropout: Probability of dropping an output of the model in training.
        locked_dropout: Let dropout take the same outputs at all steps of a sequence (Merity et al. 2018).
        tied: Use the embedding's vectors as the weights of the linear layer too (Press and Wolf 2017, Inan et al.
            2017); the model's output has to be as large as a vector.
        cutoffs: Adaptive softmax (Grave et al. 2017), for a large vocabulary: ids at which its clusters of rarer tokens
            begin, `[2000,10000]` say; none for the full softmax. Tokens have to be numbered by frequency, as
            characters and words are.
        ar: Activation regularisation (Merity et al. 2017, 2018; alpha there): factor of the mean square of the model's
            output after dropout, which is added to the loss of each token in training.
        tar: Temporal activation regularisation (beta there): the same of the change of the model's output since the
            step before; the first step of a chunk has none.

    Raises:
        ConfigError: The data has another task, the model sees the token it is to predict, or cutoffs are given for
            tokens that are not numbered by frequency.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("bits_per_character", "min")
    meaning = "logits of the token after each token, in the order of spec.inputs.tokenizer.vocabulary"

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        *,
        dropout: Probability = 0.0,
        locked_dropout: bool = False,
        tied: bool = False,
        cutoffs: tuple[PositiveInt, ...] = (),
        ar: NonNegativeFloat = 0.0,
        tar: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, NextToken):
            raise wrong_task("next_token", "next tokens to predict", spec)
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
        self.spec = spec
        self.characters = spec.inputs.tokenizer.sizes()[:, 0].tolist()
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.tied = tied
        vocabulary = spec.inputs.vocabulary
        self.linear: nn.Linear | AdaptiveSoftmax
        if cutoffs:
            refuse_unordered(spec.inputs.tokenizer)
            self.linear = AdaptiveSoftmax(output_size, vocabulary, cutoffs, tied)
            self.row_names = {f"linear.{name}": tokens for name, tokens in self.linear.row_names.items()}
        else:
            self.linear = nn.Linear(output_size, len(vocabulary))
            self.row_names = dict.fromkeys(("linear.weight", "linear.bias"), vocabulary)
        self.ar, self.tar = ar, tar

    def tie(self, frontend: Any) -> None:
        """Take the embedding of ``frontend`` as the weights, if asked to.

        Raises:
            ConfigError: It has none, or one of another size.
        """
        if not self.tied:
            return
        embedding = getattr(frontend, "embedding", None)
        if not isinstance(embedding, nn.Embedding):
            raise ConfigError("head.tied=true needs frontend=embedding, whose vectors become the weights of the head")
        size, output_size = embedding.embedding_dim, self.linear.in_features
        if size != output_size:
            raise ConfigError(
                f"head.tied=true: the vectors of the embedding have {size} numbers, an output of the model has "
                f"{output_size}; set frontend.size={output_size}"
            )
        nn.init.uniform_(embedding.weight, -0.1, 0.1)  # small enough for logits, as Merity et al. 2018 start
        self.linear.weight = embedding.weight

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Return logits_BTV; in training with an adaptive softmax or penalties the loss of each target (B, T)."""
        dropped_BTH, adaptive = self.dropout(y_BTH), isinstance(self.linear, AdaptiveSoftmax)
        if not (self.training and (adaptive or self.ar or self.tar)) or batch.targets is None:
            return self.linear(dropped_BTH)
        y_NH, targets_N = dropped_BTH.flatten(0, 1), _marked(batch.targets, lengths_B).flatten()
        if isinstance(self.linear, AdaptiveSoftmax):
            nats_N = self.linear.nats(y_NH, targets_N)
        else:
            nats_N = nn.functional.cross_entropy(self.linear(y_NH), targets_N, reduction="none")
        nats_BT = nats_N.view(batch.targets.shape)
        if self.ar or self.tar:
            return nats_BT + activation_penalties(y_BTH, dropped_BTH, self.ar, self.tar)
        return nats_BT

    def loss(self, outputs: Tensor, lengths_B: Tensor | None, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the cross entropy in nats and the penalties, summed over the valid tokens, and their number."""
        targets_BT = batch.targets
        assert targets_BT is not None
        if lengths_B is None:
            count: int | Tensor = targets_BT.numel()
        else:
            targets_BT, count = _marked(targets_BT, lengths_B), lengths_B.sum()
        if outputs.dim() == 2:
            total = outputs.masked_fill(targets_BT == -100, 0).sum()
        else:
            total = nn.functional.cross_entropy(
                outputs.flatten(0, 1), targets_BT.reshape(-1), ignore_index=-100, reduction="sum"
            )
        return total, count

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> TokenPrediction:
        return TokenPrediction(outputs, lengths)

    def stream(self, y_BTH: Tensor, batch: Batch, memory: Memory | None) -> tuple[Tensor, dict[str, Any], Memory]:
        """Return the logits of new tokens of one row, the answer for all so far, and the memory for the next call.

        Args:
            y_BTH: New steps.
            batch: The new tokens.
            memory: As returned with the tokens before, None at the first.
        """
        logits_TV, ids_T = self(y_BTH, None, batch)[0], batch.inputs[0]
        before_TV, nats, characters, count = memory or (logits_TV[:0], 0.0, 0, 0)
        predicting_TV = torch.cat((before_TV, logits_TV[:-1]))
        follow_T = ids_T[len(ids_T) - len(predicting_TV) :]
        nats += float(nn.functional.cross_entropy(predicting_TV.detach().double(), follow_T, reduction="sum"))
        characters += sum(self.characters[token] for token in follow_T.tolist())
        count += len(follow_T)
        answer = self.spec.task.answer(logits_TV[-1], self.spec)
        if characters:
            answer["bits_per_character"] = nats / characters / math.log(2)
        return logits_TV[None], answer, (logits_TV[-1:].clone(), nats, characters, count)


def _marked(targets_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Return targets with -100 in the padding; marking them, a small array, spares a copy of the logits."""
    return targets_BT if lengths_B is None else targets_BT.masked_fill(~valid(lengths_B, targets_BT), -100)


def refuse_unordered(tokenizer: Any) -> None:
    """Refuse cutoffs for tokens that are not numbered by frequency; raises ``ConfigError``."""
    if not getattr(tokenizer, "by_frequency", False):
        raise ConfigError(
            f"head.cutoffs needs tokens that are numbered by frequency (by_frequency = True), as data.tokenizer=char, "
            f"word and lower_word number theirs; {type(tokenizer).__name__} does not. Leave it out"
        )


def activation_penalties(y_BTH: Tensor, dropped_BTH: Tensor, ar: float, tar: float) -> Tensor:
    """Return AR and TAR of a model's outputs at each step (B, T) (Merity et al. 2018, section 4.6).

    Args:
        y_BTH: The outputs.
        dropped_BTH: The same after dropout.
        ar: Factor of the mean square of ``dropped_BTH`` at each step.
        tar: Factor of the mean square of the change of ``y_BTH`` since the step before.
    """
    squares_BT = ar * dropped_BTH.float().square().mean(2)
    changes_BT = tar * y_BTH.float().diff(dim=1).square().mean(2)
    return squares_BT + nn.functional.pad(changes_BT, (1, 0))
