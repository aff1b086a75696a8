"""Dynamic evaluation (Krause et al. 2018, arXiv:1709.07432): a language model learns from what it has read."""

# B batch, T time

import copy
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, Split, State
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.data.loading import evaluation_loader
from seqkit.errors import ConfigError
from seqkit.evaluation import Scores, evaluate
from seqkit.network import Network, carry
from seqkit.ranks import group

LOG = logging.getLogger("seqkit")
LRS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
LARGER_LRS = (3e-3, 1e-2, 3e-2, 0.1)  # tried while the one before is the best
DECAYS = (0.003, 0.0003, 0.03)  # the first is that of the search for a learning rate
OBSERVED = 200  # batches of the training part


def dynamic_scores(network: Network, spec: DataSpec, data: Data, split: Split, steps: int) -> Scores:
    """Return the scores of a network that learns from the text while it reads it, with the learning rate and decay.

    Both are chosen on the validation part, the rate first; a rate of 0 is the network itself.

    Args:
        network: Trained to predict the next token; is not changed.
        spec: Of the data.
        data: Set up.
        split: To score.
        steps: Tokens after which the weights change.

    Raises:
        ConfigError: As ``refuse_dynamic``, or the data are no streams, or chunks are not read as the whole text is.
    """
    refuse_dynamic(spec, steps, split)
    if not network.takes_chunks(spec):
        raise ConfigError("dynamic evaluation reads a text piece by piece, which this network does not do")
    dynamic = DynamicNetwork(network, steps)
    device, state = next(network.parameters()).device, None
    for batch in islice(evaluation_loader(data, "train", data.batch_size), OBSERVED):
        if batch.fresh_B is None:
            raise ConfigError("dynamic evaluation reads a text in its order; these data are sequences by themselves")
        there = batch.to(device)
        state = dynamic.observe(there, carry(state, there, network.model))

    name, best_is = network.head.monitor

    def scores(split: Split, lr: float, decay: float) -> Scores:
        dynamic.start(lr, decay)
        return evaluate(dynamic, spec, data, split, 1, baselines=False).model

    def tried(lr: float, decay: float) -> tuple[float, float, float]:
        score = scores("valid", lr, decay)[name]
        LOG.info("dynamic evaluation: lr %g, decay %g: valid %s %.4g", lr, decay, name, score)
        cost = score if best_is == "min" else -score
        return cost if math.isfinite(cost) else math.inf, lr, decay

    best = tried(0, 0)
    for lr in (*LRS, *LARGER_LRS):
        if lr in LARGER_LRS and not best[1]:
            break
        own = tried(lr, DECAYS[0])
        if best[1] and own > best:
            break
        best = min(best, own)
    for decay in DECAYS[1:] if best[1] else ():
        best = min(best, tried(best[1], decay))
    _, lr, decay = best
    return scores(split, lr, decay) | {"dynamic_lr": lr, "dynamic_decay": decay}


def refuse_dynamic(spec: DataSpec, steps: int, split: Split) -> None:
    """Refuse dynamic evaluation of other tasks, without steps, where it is chosen, and on several ranks.

    Raises:
        ConfigError: Always then.
    """
    if not hasattr(spec.task, "own_targets"):
        raise ConfigError(
            f"dynamic evaluation is for a model with head=next_token; this one predicts {type(spec.task).__name__}"
        )
    if steps < 1:
        raise ConfigError(f"dynamic={steps}: give 1 token or more after which the weights change")
    if split == "valid":
        raise ConfigError(
            "dynamic evaluation is chosen on the validation part, so a score there would flatter it; use split test"
        )
    if group().size > 1:
        raise ConfigError("dynamic evaluation reads one text in its order, so it runs in one process")


class DynamicNetwork(Network):
    """A copy of a network that changes its weights after each few tokens of a stream, once it has predicted them.

    With g the gradient of their mean loss, RMS the root mean square of such gradients on the training part, and theta_0
    the weights of the network,

        theta <- theta - lr g / (RMS + eps) + decay (theta_0 - theta) RMS / mean(RMS)

    where decay RMS / mean(RMS) is at most 1, and eps is mean(RMS) / 100 (section 4 of the paper, "RMS with a global
    prior"). One stream is read after the other, so that there is no batch size for the outcome to depend on.

    Args:
        network: Of next tokens; is not changed.
        steps: Tokens after which the weights change.
    """

    def __init__(self, network: Network, steps: int) -> None:
        own = copy.deepcopy(network)
        super().__init__(own.frontend, own.model, own.head, own.made_by)
        self.eval()
        self.steps = steps
        self._weights = [weight for weight in self.parameters() if weight.requires_grad]
        self._trained = [weight.detach().clone() for weight in self._weights]
        self._squares = [torch.zeros_like(weight) for weight in self._trained]
        self._observed = 0
        self.start(0, 0)

    @torch.enable_grad()
    def observe(self, batch: Batch, state: State | None) -> State:
        """Add the gradient of a batch of the training part to the mean squares, and return the state after it."""
        outputs, lengths_B, state = super().forward(batch, state)
        for square, gradient in zip(self._squares, self._gradients(outputs, lengths_B, batch), strict=True):
            square.addcmul_(gradient, gradient)
        self._observed += 1
        return state

    @torch.no_grad()
    def start(self, lr: float, decay: float) -> None:
        """Start from the weights of the network, with a learning rate, of which 0 never leaves them, and a decay."""
        self.lr = lr
        for weight, trained in zip(self._weights, self._trained, strict=True):
            weight.copy_(trained)
        roots = [(square / max(1, self._observed)).sqrt() for square in self._squares]
        mean = sum(float(root.double().sum()) for root in roots) / max(1, sum(root.numel() for root in roots)) or 1.0
        self._scales = [root + mean / 100 for root in roots]
        self._pulls = [(root * (decay / mean)).clamp(max=1) for root in roots]

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, Tensor | None, State]:
        """Return what the network does for a batch of one row, each step from weights changed by those before."""
        if not self.lr:
            return super().forward(batch, state)
        outputs = []
        for piece in _pieces(batch, self.steps):
            with torch.enable_grad():
                output, lengths_B, after = super().forward(piece, state)
                gradients = self._gradients(output, lengths_B, piece)
            state = tuple(part.detach() for part in after)
            outputs.append(output.detach())
            if lengths_B is None or lengths_B.any():
                self._learn(gradients)
        assert state is not None
        return torch.cat(outputs, 1), batch.lengths, state

    def _gradients(self, outputs: Tensor, lengths_B: Tensor | None, batch: Batch) -> list[Tensor]:
        total, count = self.head.loss(outputs, lengths_B, batch)
        found = torch.autograd.grad(total / max(1, int(count)), self._weights, materialize_grads=True)
        return [gradient.detach() for gradient in found]

    @torch.no_grad()
    def _learn(self, gradients: list[Tensor]) -> None:
        parts = zip(self._weights, gradients, self._scales, self._trained, self._pulls, strict=True)
        for weight, gradient, scale, trained, pull in parts:
            weight.addcdiv_(gradient, scale, value=-self.lr).lerp_(trained, pull)


def _pieces(batch: Batch, steps: int) -> Iterator[Batch]:
    """Yield a batch in pieces of so many steps, each with the valid steps that are in it."""
    for start in range(0, batch.inputs.shape[1], steps):
        own: dict[str, Any] = {"inputs": batch.inputs, "targets": batch.targets}
        own = {name: part[:, start : start + steps] for name, part in own.items()}
        lengths_B = None if batch.lengths is None else (batch.lengths - start).clamp(0, own["inputs"].shape[1])
        yield replace(batch, **own, lengths=lengths_B)
