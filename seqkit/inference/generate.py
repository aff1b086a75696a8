"""Text from a language model."""

import math

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.network import Network


def generate(
    network: Network,
    spec: DataSpec,
    prompt: str,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> str:
    """Return the prompt and the text that the model continues it with.

    Args:
        network: Trained to predict the next token.
        spec: The data's that it was trained on.
        prompt: Text to continue; an empty one starts a new line.
        length: Tokens to add.
        temperature: Divisor of the logits; below 1 is safer, above 1 is wilder, 0 takes the likeliest.
        top_k: Likeliest tokens to draw from; all where None.
        seed: Of the draws.

    Raises:
        ConfigError: The network predicts something else, a character of the prompt is unknown to it, or an
            argument is out of its range.
    """
    if not hasattr(spec.task, "continue_text"):
        raise ConfigError(f"generate needs a model with head=next_token; this one predicts {type(spec.task).__name__}")
    if length < 0:
        raise ConfigError(f"length={length}: give 0 tokens or more")
    if not 0 <= temperature < math.inf:
        raise ConfigError(f"temperature={temperature}: give 0 (always the likeliest token) or more")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k={top_k}: give 1 token or more to draw from")
    return spec.task.continue_text(network, spec, prompt, length, temperature, top_k, seed)
