"""Text from a language model, one token at a time."""

# T time, V vocabulary

from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.rng import generator

STARTS = ("<eos>", "\n", " ")  # tokens after which a text can start, the first that there is
UNKNOWN = "<unk>"


@torch.no_grad()
def continue_text(
    network: Any, spec: DataSpec, prompt: str, length: int, temperature: float, top_k: int | None, seed: int
) -> str:
    """Return the prompt and the text that the network continues it with; see ``seqkit.inference.generate``.

    A network that cannot go on from a state reads the whole text so far for every token.
    """
    tokenizer = spec.inputs.tokenizer
    device = next(network.parameters()).device
    draw = generator("generate", seed)
    prompt_ids = tokenizer.encode(prompt)
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
            ids.append(_draw(logits_V, temperature, top_k, draw))
            new = torch.tensor([[ids[-1]]])
            read = new if goes_on else torch.cat((read, new), 1)
    finally:
        network.train(was_training)
    return tokenizer.continued(prompt, ids)


def _draw(logits_V: Tensor, temperature: float, top_k: int | None, draw: torch.Generator) -> int:
    if temperature < 1e-6:
        return int(logits_V.argmax())
    best, ids = logits_V.topk(min(top_k or len(logits_V), len(logits_V)))
    # Drawn on the CPU, so that a seed gives the same text from every device whose logits agree.
    return int(ids[torch.multinomial(((best - best[0]) / temperature).softmax(0), 1, generator=draw)])


def _start(tokenizer: Any) -> Tensor:
    """Return the id of the token before a new line, or else of a known one."""
    symbol = next((start for start in STARTS if start in tokenizer.vocabulary), tokenizer.vocabulary[-1])
    return torch.tensor([tokenizer.vocabulary.index(symbol)])
