"""Text from a language model."""

from typing import Any

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.network import Network


def generate(network: Network, spec: DataSpec, prompt: str, length: int, **sampling: Any) -> str:
    """Return the prompt and the text that the model continues it with.

    Args:
        network: Trained to predict the next token.
        spec: The data's that it was trained on.
        prompt: Text to continue; an empty one starts a new line.
        length: Tokens to add at most.
        sampling: ``temperature``, ``top_k``, ``top_p``, ``seed``, ``stop``; see
            ``seqkit.tasks.next_token.generation.Sampling``; and ``write``, which takes the text piece by piece as it
            is written.

    Raises:
        ConfigError: The network predicts something else, a character of the prompt is unknown to it, or an
            argument is out of its range.
    """
    if not hasattr(spec.task, "continue_text"):
        raise ConfigError(f"generate needs a model with head=next_token; this one predicts {type(spec.task).__name__}")
    if length < 0:
        raise ConfigError(f"length={length}: give 0 tokens or more")
    return spec.task.continue_text(network, spec, prompt, length, **sampling)
