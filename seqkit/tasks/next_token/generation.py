"""Text from a language model, one token at a time."""

# T time, V vocabulary

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.rng import generator

STARTS = ("<eos>", "\n", " ")  # tokens after which a text can start, the first that there is
UNKNOWN = "<unk>"
PARTIAL = "\ufffd"  # stands for bytes that are no whole character, or not yet


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn, and when to stop.

    Attributes:
        temperature: Divisor of the logits; below 1 is safer, above 1 is wilder, 0 takes the likeliest.
        top_k: Likeliest tokens to draw from; all where None.
        top_p: Draw from the fewest likeliest tokens whose probabilities add up to this (nucleus sampling, Holtzman et
            al. 2020); from all where 1. It comes after ``temperature`` and ``top_k``.
        seed: Of the draws.
        stop: Texts at the first of which to stop; it is left out.

    Raises:
        ConfigError: A value is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    stop: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature={self.temperature}: give 0 (always the likeliest token) or more")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k={self.top_k}: give 1 token or more to draw from")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p={self.top_p}: give a probability above 0, up to 1")
        if "" in self.stop:
            raise ConfigError("stop='': every text holds an empty one; give some text to stop at")

    def draw(self, logits_V: Tensor, source: torch.Generator) -> int:
        """Return the id of a token, drawn by its logits, on the CPU, with random numbers from ``source``."""
        if self.temperature < 1e-6:
            return int(logits_V.argmax())
        ids = None
        if self.top_k or self.top_p < 1:
            logits_V, ids = logits_V.topk(min(self.top_k or len(logits_V), len(logits_V)))
        probabilities = (logits_V / self.temperature).softmax(0)
        up_to = probabilities.cumsum(0)  # of a token and those before it
        if self.top_p < 1:
            up_to = up_to[: int((up_to - probabilities < self.top_p).sum())]
        # Drawn on the CPU, so that a seed gives the same text from every device whose logits agree.
        drawn = torch.rand((), dtype=up_to.dtype, generator=source) * up_to[-1]
        place = min(int(torch.searchsorted(up_to, drawn, right=True)), len(up_to) - 1)
        return place if ids is None else int(ids[place])

    def end(self, text: str) -> int | None:
        """Return where in ``text`` the first of the texts to stop at begins; None where there is none."""
        return min((place for place in map(text.find, self.stop) if place >= 0), default=None)


class Settled:
    """Passes on a text that is being written, as far as no further token changes it.

    A last character that may be a part of one is held back, and so is what may be the start of a text to stop at.

    Args:
        write: Takes the pieces, which together are the whole text.
        prompt: Start of the text; it is passed on at once.
        stop: As of ``Sampling``.
    """

    def __init__(self, write: Callable[[str], None], prompt: str, stop: Sequence[str]) -> None:
        self.write, self.prompt, self.stop, self.shown = write, prompt, stop, ""
        self.finish(prompt)

    def update(self, text: str) -> None:
        """Take the text so far, in which nothing to stop at is whole."""
        new = text[len(self.prompt) :].rstrip(PARTIAL)
        starts = (size for stop in self.stop for size in range(1, len(stop)) if new.endswith(stop[:size]))
        settled = self.prompt + new[: len(new) - max(starts, default=0)]
        if settled.startswith(self.shown):
            self.finish(settled)

    def finish(self, text: str) -> None:
        """Take the whole text."""
        if text[len(self.shown) :]:
            self.write(text[len(self.shown) :])
            self.shown = text


@torch.no_grad()
def continue_text(
    network: Any,
    spec: DataSpec,
    prompt: str,
    length: int,
    sampling: Sampling,
    write: Callable[[str], None] | None = None,
) -> str:
    """Return the prompt and the text, of at most ``length`` tokens, that the network continues it with.

    A network that cannot go on from a state reads the whole text so far for every token.

    Args:
        network: Trained to predict the next token.
        spec: Of the data that it was trained on.
        prompt: Start of the text.
        length: Tokens to add at most.
        sampling: How they are drawn.
        write: Takes the text piece by piece as it is written, whole characters only.
    """
    tokenizer = spec.inputs.tokenizer
    device = next(network.parameters()).device
    source = generator("generate", sampling.seed)
    prompt_ids = tokenizer.encode(prompt)
    settled = None if write is None else Settled(write, prompt, sampling.stop)
    read = (prompt_ids if len(prompt_ids) else _start(tokenizer))[None]
    unknown = tokenizer.vocabulary.index(UNKNOWN) if UNKNOWN in tokenizer.vocabulary else None
    ids, state, was_training = [], None, network.training
    network.eval()
    try:
        goes_on = network.takes_chunks(spec)
        for _ in range(length):
            logits_BTV, _, state = network(Batch(read.to(device)), state if goes_on else None)
            logits_V = logits_BTV[0, -1].double().cpu()
            if unknown is not None:
                logits_V[unknown] = -torch.inf
            ids.append(sampling.draw(logits_V, source))
            if sampling.stop or settled:
                text = tokenizer.continued(prompt, ids)
                if (end := sampling.end(text[len(prompt) :])) is not None:
                    text = text[: len(prompt) + end]
                    break
                if settled:
                    settled.update(text)
            new = torch.tensor([[ids[-1]]])
            read = new if goes_on else torch.cat((read, new), 1)
        else:
            text = tokenizer.continued(prompt, ids)
    finally:
        network.train(was_training)
    if settled:
        settled.finish(text)
    return text


def _start(tokenizer: Any) -> Tensor:
    """Return the id of the token before a new line, or else of a known one."""
    symbol = next((start for start in STARTS if start in tokenizer.vocabulary), tokenizer.vocabulary[-1])
    return torch.tensor([tokenizer.vocabulary.index(symbol)])
