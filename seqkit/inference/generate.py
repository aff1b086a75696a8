"""Text from a language model, one token at a time."""

# V vocabulary

import math

import torch
from torch import Tensor

from seqkit.contracts import Batch, DataSpec, NextToken, Tokens
from seqkit.data.batching import generator
from seqkit.data.text import LINE_END, UNKNOWN, encode, spell
from seqkit.errors import ConfigError
from seqkit.network import Network


@torch.no_grad()
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
        prompt: What to continue; an empty one starts a new line.
        length: Tokens to add.
        temperature: What the logits are divided by; below 1 is safer, above 1 is wilder, 0 takes the likeliest.
        top_k: Likeliest tokens to draw from; all where None.
        seed: The same one gives the same text.

    Raises:
        ConfigError: The network predicts something else, a character of the prompt is unknown to it, or an
            argument is out of its range.
    """
    if not isinstance(spec.targets, NextToken) or not isinstance(spec.inputs, Tokens):
        raise ConfigError(
            f"generate needs a model with head=next_token; this one predicts {type(spec.targets).__name__}"
        )
    if length < 0:
        raise ConfigError(f"length={length}: give 0 tokens or more")
    if not 0 <= temperature < math.inf:
        raise ConfigError(f"temperature={temperature}: give 0 (always the likeliest token) or more")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k={top_k}: give 1 token or more to draw from")
    device = next(network.parameters()).device
    draw = generator("generate", seed)
    prompt_ids = encode(spec.inputs, prompt)
    last = (prompt_ids if len(prompt_ids) else _start(spec.inputs))[None]
    ids, state, was_training = [], None, network.training
    network.eval()
    try:
        for _ in range(length):
            logits_BTV, _, state = network(Batch(last.to(device)), state)
            ids.append(_choose(logits_BTV[0, -1].double().cpu(), spec.inputs, temperature, top_k, draw))
            last = torch.tensor([[ids[-1]]])
    finally:
        network.train(was_training)
    added = spell(spec.inputs, ids)
    apart = spec.inputs.unit == "word" and not prompt[-1:].isspace() and not added[:1].isspace()
    return f"{prompt} {added}" if apart and prompt and added else prompt + added


def _choose(logits_V: Tensor, tokens: Tokens, temperature: float, top_k: int | None, draw: torch.Generator) -> int:
    if UNKNOWN in tokens.vocabulary:
        logits_V[tokens.vocabulary.index(UNKNOWN)] = -torch.inf
    if temperature < 1e-6:
        return int(logits_V.argmax())
    best, ids = logits_V.topk(min(top_k or len(logits_V), len(logits_V)))
    # Drawn on the CPU, so that a seed gives the same text from every device whose logits agree.
    return int(ids[torch.multinomial(((best - best[0]) / temperature).softmax(0), 1, generator=draw)])


def _start(tokens: Tokens) -> Tensor:
    """Return the token before a new line, or else the first known one."""
    symbol = next((s for s in (LINE_END, "\n", " ") if s in tokens.vocabulary), tokens.vocabulary[-1])
    return torch.tensor([tokens.vocabulary.index(symbol)])
