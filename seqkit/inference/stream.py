"""Chunked inference: a trained network on input that arrives bit by bit, in constant memory."""

# T time (tokens, rows or samples of a chunk), I numbers per frame

from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.network import Network, agree, chunks, example
from seqkit.precision import float32_eval


class Stream:
    """Chunked inference of one sequence, equal to one forward pass over the whole of it.

    For example::

        stream = seqkit.load("runs/mine").stream()
        for chunk in source:
            print(stream.feed(chunk))
        print(stream.finish())

    A plugin's frontend takes part if it has ``looks_ahead``, None or the reason why a stream is impossible, and, unless
    it maps every step by itself, ``stream(inputs, memory, end) -> (x_BTI, memory)``, as ``LogMel`` has. A plugin's
    head needs ``stream(y_BTH, batch, memory) -> (outputs, answer, memory)``, as ``Classify`` has. When a stream is
    opened, a random example is tried in chunks and as a whole.

    Attributes:
        outputs: The head's outputs for what was fed last: the logits (1, T, V) after each token of a chunk, the log
            probabilities (1, T, V) of each step it completed, the forecast or the classes' logits after it.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.

    Raises:
        ConfigError: A part of the network needs the whole sequence, or forgets what came before a chunk.
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
        self._compare_with_whole()
        self.reset()

    def reset(self) -> None:
        """Start another sequence."""
        self.outputs: Tensor | None = None
        self._state: State | None = None
        self._frontend_memory: Any = None
        self._head_memory: Any = None
        self._finished = False

    def feed(self, chunk: Any) -> dict[str, Any] | None:
        """Process the next steps, one or many.

        Args:
            chunk: For text a string (whole words, if the model reads words), a token's id or an array of ids (T,); for
                frames an array (T, I), or one row (I,), or of a single quantity its values (T,); for sound an array of
                samples (T,).

        Returns:
            The task's answer for everything fed so far: the likely next tokens and the score, the forecast, or the
            label; but of a transcript only the text that is new. None where the chunk completes no step. A forecast is
            from all rows, where ``predict`` reads the last ``lookback`` of them.

        Raises:
            DataError: The chunk is not what the network was trained on.
            ConfigError: It has a character that the network does not know, or the stream is finished.
        """
        if self._finished:
            raise ConfigError("the stream is finished; reset() starts another")
        return self._take(self.spec.inputs.chunk(chunk), False)

    def finish(self) -> dict[str, Any] | None:
        """End the sequence; return the answer with its last step, if that was not complete (sound), else None."""
        self._finished = True
        return self._take(example(self.network, self.spec)[0, :0], True)

    def _take(self, inputs: Tensor, end: bool) -> dict[str, Any] | None:
        found = self._run(inputs[None].to(next(self.network.parameters()).device), end)
        return None if found is None else found[1]

    @torch.no_grad()
    def _run(self, inputs: Tensor, end: bool) -> tuple[tuple[Tensor, ...], dict[str, Any]] | None:
        """Return what each part gives for a chunk (1, T, ...), and the answer; None where it completes no step."""
        network = self.network
        with float32_eval(inputs.device):
            if hasattr(network.frontend, "stream"):
                x_BTI, self._frontend_memory = network.frontend.stream(inputs, self._frontend_memory, end)
            else:
                x_BTI, _ = network.frontend(inputs, None)
            if not x_BTI.shape[1]:
                return None
            y_BTH, self._state = network.model(x_BTI, None, self._state)
            self.outputs, answer, self._head_memory = network.head.stream(y_BTH, Batch(inputs), self._head_memory)
            return (x_BTI, y_BTH, self.outputs), answer

    @torch.no_grad()
    def _compare_with_whole(self) -> None:
        """Refuse a network whose answers for chunks of a random example are not those for the whole of it.

        Raises:
            ConfigError: Names the part at fault.
        """
        network, inputs = self.network, example(self.network, self.spec)
        with float32_eval(inputs.device):
            x_BTI, lengths_B = network.frontend(inputs, None)
            y_BTH, state = network.model(x_BTI, lengths_B, None)
            whole = x_BTI, y_BTH, network.head(y_BTH, lengths_B, Batch(inputs))
        if not state:
            raise ConfigError(
                f"stream: {type(network.model).__name__} carries no state, so what came before a chunk would be "
                "forgotten; use predict on the whole sequence"
            )
        found = [self._run(chunk, False) for chunk in chunks(inputs)] + [self._run(inputs[:, :0], True)]
        by_part = zip(*(outcome[0] for outcome in found if outcome is not None), strict=True)
        for part, due, outputs in zip((network.frontend, network.model, network.head), whole, by_part, strict=True):
            if not agree(list(outputs), due):
                raise ConfigError(
                    f"stream: {type(part).__name__} gives something else for chunks of a sequence than for the whole; "
                    "use predict on the whole sequence"
                )
