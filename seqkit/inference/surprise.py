"""What surprises a language model: the loss of each token of a text."""

from collections.abc import Iterator
from typing import Any

import torch

from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inference.predict import CHUNK
from seqkit.network import Network


@torch.no_grad()
def surprise(network: Network, spec: DataSpec, source: Any) -> Iterator[tuple[str, float | None]]:
    """Yield each token of a text, as it is read there, and its negative log likelihood in nats.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        source: A string, or the path of a UTF-8 file.

    Yields:
        The first token has None: nothing came before it to predict it from.

    Raises:
        ConfigError: The network predicts something else than the next token.
        DataError: The text cannot be read.
    """
    if not hasattr(spec.task, "token_losses"):
        raise ConfigError(f"score needs a model with head=next_token; this one predicts {type(spec.task).__name__}")
    ids_T = spec.inputs.read(source)
    device = next(network.parameters()).device
    size = CHUNK if len(ids_T) > CHUNK and network.takes_chunks(spec) else len(ids_T)
    state: State | None = None
    words = spec.task.token_texts(spec, ids_T)
    yield next(words), None
    for start in range(0, len(ids_T) - 1, size):
        batch = Batch(ids_T[None, start : start + size], targets=ids_T[None, start + 1 : start + size + 1]).to(device)
        outputs, lengths_B, state = network(batch, state)
        losses = spec.task.token_losses(network.head.predict(outputs, lengths_B, batch), batch)
        yield from ((word, loss) for loss, word in zip(losses, words, strict=False))
