"""One step at a time: feeding a stream, and writing text, beside the least that torch can do it with.

    python benchmarks/streaming.py [--rounds 9] [--threads 2] [--characters 10000] [--json FILE]

The network is that of ``experiment=python_source`` with its first weights, one layer of 256 units. ``feed`` is one step
of ``Stream.feed``, from a token's id to the answer; its peer is ``torch.lstm`` on one step, without the module around
``nn.LSTM``, the embedding or the head. ``generate`` draws characters from the network; its peer is the bare loop of
``nn.Embedding``, ``nn.LSTM``, ``nn.Linear`` and ``torch.multinomial``. They take turns; the figures are the medians
over the rounds of our time by the peer's.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from seqkit.hydra_cli import compose
from seqkit.inference.generate import generate
from seqkit.inference.stream import Stream
from seqkit.network import assemble
from seqkit.registry import build

STEPS = 1000  # of a round of feed


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> float:
    """Return the median of our time by theirs, over rounds in which they take turns after one warm-up."""
    found = []
    for number in range(rounds + 1):
        times = {}
        for call in (ours, theirs) if number % 2 else (theirs, ours):
            started = time.perf_counter()
            call()
            times[call] = time.perf_counter() - started
        if number:
            found.append(times[ours] / times[theirs])
    return statistics.median(found)


@torch.inference_mode()
def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--characters", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = compose(["experiment=python_source", "trainer.accelerator=cpu"])
    data = build("data", config["data"])
    data.setup()
    network = assemble(config, data.spec).eval()
    vocabulary, size = network.frontend.embedding.weight.shape
    hidden = config["model"]["hidden_size"]
    embedding, lstm, linear = (
        nn.Embedding(vocabulary, size),
        nn.LSTM(size, hidden, batch_first=True),
        nn.Linear(hidden, vocabulary),
    )
    stream = Stream(network, data.spec)
    x_BTI, zeros_1BH, weights = torch.randn(1, 1, size), torch.zeros(1, 1, hidden), lstm._flat_weights

    def feed() -> None:
        for _ in range(STEPS):
            stream.feed(3)

    def step() -> None:
        state = zeros_1BH, zeros_1BH
        for _ in range(STEPS):
            _, *state = torch.lstm(x_BTI, state, weights, True, 1, 0.0, False, False, True)

    def write() -> None:
        generate(network, data.spec, "a", arguments.characters, temperature=0.8, seed=1)

    def bare() -> None:
        draw, token, state, text = torch.Generator().manual_seed(1), torch.tensor([[3]]), None, []
        for _ in range(arguments.characters):
            y_BTH, state = lstm(embedding(token), state)
            token = torch.multinomial((linear(y_BTH[:, -1]) / 0.8).softmax(1), 1, generator=draw)
            text.append(token.item())

    found = {"feed": ratio(feed, step, arguments.rounds), "generate": ratio(write, bare, arguments.rounds)}
    machine = f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}"
    print(
        f"feed by torch.lstm's step {found['feed']:.2f}, generate by the bare loop {found['generate']:.2f} ({machine})"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
