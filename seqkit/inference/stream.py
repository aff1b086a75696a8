"""A trained network on input that arrives bit by bit, in constant memory."""

# T time (tokens, rows or samples of a chunk), I numbers a frame

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.contracts import Batch, DataSpec, Frames, State, Tokens
from seqkit.data.text import encode
from seqkit.errors import ConfigError, DataError
from seqkit.network import Network, exact


class Stream:
    """One sequence, taken in chunks of any size: what the network says of it is what it says of the whole of it.

    For example::

        stream = seqkit.load("runs/mine").stream()
        for chunk in source:
            print(stream.feed(chunk))
        print(stream.finish())

    A plugin's frontend takes part if it has ``looks_ahead``, None or the reason why a stream is impossible, and, unless
    it maps every step by itself, ``stream(inputs, memory, end) -> (x_BTI, memory)``, as ``LogMel`` has. A plugin's
    head needs ``stream(y_BTH, batch, memory) -> (outputs, answer, memory)``, as ``Classify`` has.

    Attributes:
        outputs: The head's outputs for what was fed last: the logits (1, T, V) after each token of a chunk, the log
            probabilities (1, T, V) of each step it completed, the forecast or the classes' logits after it.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.

    Raises:
        ConfigError: A part of the network needs the whole sequence.
    """

    def __init__(self, network: Network, spec: DataSpec) -> None:
        if not network.model.causal:
            raise ConfigError(
                "stream: the model also reads each sequence from its end; train with model.bidirectional=false"
            )
        for part, needed in ((network.frontend, "looks_ahead"), (network.head, "stream")):
            if not hasattr(part, needed):
                raise ConfigError(
                    f"stream: {type(part).__name__} has no '{needed}', so how to use it on a part of a sequence is "
                    "unknown; see seqkit.inference.stream.Stream"
                )
        if network.frontend.looks_ahead:
            raise ConfigError(f"stream: {network.frontend.looks_ahead}")
        self.network = network
        self.spec = spec
        self.reset()

    def reset(self) -> None:
        """Start another sequence."""
        self.outputs: Tensor | None = None
        self._state: State | None = None
        self._of_frontend: Any = None
        self._of_head: Any = None
        self._finished = False

    def feed(self, chunk: Any) -> dict[str, Any] | None:
        """Take what comes next, a single step or many.

        Args:
            chunk: For text a string (whole words, if the model reads words), a token's id or an array of ids (T,); for
                frames an array (T, I), or one row (I,), or of a single quantity its values (T,); for sound an array of
                samples (T,).

        Returns:
            What the head's ``decode`` gives for everything fed so far: the likely next tokens and the score, the
            forecast, or the label; but of a transcript only the text that is new. None where the chunk completes no
            step. A forecast is from all rows, where ``predict`` reads the last ``lookback`` of them.

        Raises:
            DataError: The chunk is not what the network was trained on.
            ConfigError: It has a character that the network does not know, or the stream is finished.
        """
        if self._finished:
            raise ConfigError("the stream is finished; reset() starts another")
        return self._take(_read(self.spec, chunk), False)

    def finish(self) -> dict[str, Any] | None:
        """End the sequence; return what its end adds: of sound the last step, if it was not complete, else None."""
        self._finished = True
        return self._take(_read(self.spec, []), True)

    @torch.no_grad()
    def _take(self, inputs: Tensor, end: bool) -> dict[str, Any] | None:
        network, device = self.network, next(self.network.parameters()).device
        batch = Batch(inputs[None]).to(device)
        with exact(device):
            if hasattr(network.frontend, "stream"):
                x_BTI, self._of_frontend = network.frontend.stream(batch.inputs, self._of_frontend, end)
            else:
                x_BTI, _ = network.frontend(batch.inputs, None)
            if not x_BTI.shape[1]:
                return None
            y_BTH, self._state = network.model(x_BTI, None, self._state)
            self.outputs, answer, self._of_head = network.head.stream(y_BTH, batch, self._of_head)
        return answer


def _read(spec: DataSpec, chunk: Any) -> Tensor:
    """Return a chunk as token ids (T,), rows (T, I) or samples (T,); T may be 0."""
    kind, dtype = spec.inputs, torch.float32
    row: tuple[int, ...] = ()
    if isinstance(kind, Tokens):
        if isinstance(chunk, str):
            return encode(kind, chunk)
        dtype, last = torch.int64, len(kind.vocabulary) - 1
        due = f"text, or token ids (tokens,) from 0 to {last}"
    elif isinstance(kind, Frames):
        row = (len(kind.names),)
        due = f"rows (rows, {len(kind.names)}): {', '.join(kind.names)}"
    else:
        due = f"samples (samples,), {kind.sample_rate} a second"
    try:
        values = torch.as_tensor(chunk if isinstance(chunk, Tensor) else np.array(chunk, order="C"))
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"a chunk must be {due}; this one is of type {type(chunk).__name__}") from None
    if not values.numel():
        return torch.empty(0, *row, dtype=dtype)
    if values.shape == row:  # a single step
        values = values[None]
    elif row == (1,) and values.dim() < 2:
        values = values.reshape(-1, 1)
    if values.dim() != 1 + len(row) or values.shape[1:] != row:
        raise DataError(f"a chunk must be {due}; this one has shape {tuple(values.shape)}")
    if dtype == torch.float32:
        if values.is_complex() or not bool(values.to(dtype).isfinite().all()):
            raise DataError("the chunk holds values that are not numbers (NaN or infinity)")
    elif values.is_floating_point() or values.is_complex() or values.dtype == torch.bool or _outside(values, last):
        raise DataError(f"a chunk must be {due}; this one holds {', '.join(map(str, values.tolist()[:5]))}")
    return values.to(dtype)


def _outside(ids: Tensor, last: int) -> bool:
    ids = ids.long()
    return bool(ids.min() < 0 or ids.max() > last)
