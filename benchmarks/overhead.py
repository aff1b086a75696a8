"""What training through seqkit costs over a bare PyTorch loop doing the same work.

    python benchmarks/overhead.py [--rounds 7] [--steps 60] [--threads 2] [--json FILE]

Both sides train the network of ``experiment=python_source`` on the same batches in the same process: seqkit through its
whole training (Lightning, loader, callbacks, logs), the peer through a loop of a dozen lines on ``torch.nn.LSTM`` with
batches cut from one tensor. They take turns; the median of the ratios of steps per second is the figure.
"""

import argparse
import json
import logging
import platform
import statistics
import tempfile
import time
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import nn

from seqkit.hydra_cli import compose
from seqkit.network import assemble
from seqkit.registry import build
from seqkit.runs.folder import RunFolder
from seqkit.runs.metadata import metadata
from seqkit.training.fit import make_trainer
from seqkit.training.loader import TrainLoader
from seqkit.training.module import SequenceModule


class Timer(pl.Callback):
    """Takes the time between the first and the last step of a training, past the warm-up steps."""

    def __init__(self, warmup: int) -> None:
        self.warmup, self.steps = warmup, 0

    def on_train_batch_end(self, *_) -> None:
        self.steps += 1
        if self.steps == self.warmup:
            self.started = time.perf_counter()
        self.ended = time.perf_counter()


def seqkit_rate(config: dict, data, warmup: int) -> float:
    """Return steps a second of seqkit's training."""
    with tempfile.TemporaryDirectory() as folder:
        steps = config["trainer"]["max_steps"]
        module = SequenceModule(config, data.spec, steps, metadata(config, data))
        run = RunFolder(Path(folder))
        run.write_config(config, data.spec)
        trainer = make_trainer(config, run, steps, interval=steps)
        timer = Timer(warmup)
        trainer.callbacks.append(timer)
        loader = TrainLoader(data, 1, steps, 0, False)
        trainer.fit(module, loader)
    return (timer.steps - warmup) / (timer.ended - timer.started)


class Bare(nn.Module):
    """The same network, written down directly."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, vocabulary)

    def forward(self, tokens_BT, state):
        y_BTH, state = self.lstm(self.embedding(tokens_BT), state)
        return self.linear(y_BTH), state


def bare_rate(config: dict, tokens, network: Bare, warmup: int) -> float:
    """Return steps a second of a bare loop: carried state, gradient clipping, AdamW, a cosine schedule."""
    batch, steps = config["data"]["batch_size"], config["trainer"]["max_steps"]
    length = config["data"]["seq_len"]
    lanes = tokens[: len(tokens) // batch * batch].view(batch, -1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["optimizer"]["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    state = None
    for step in range(steps):
        chunk = lanes[:, step * length : (step + 1) * length + 1]
        logits, state = network(chunk[:, :-1], state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), config["trainer"]["gradient_clip_val"])
        optimizer.step()
        schedule.step()
        if step + 1 == warmup:
            started = time.perf_counter()
    return (steps - warmup) / (time.perf_counter() - started)


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warmup = 10
    overrides = ["experiment=python_source", f"trainer.max_steps={arguments.steps + warmup}", "trainer.accelerator=cpu"]
    config = compose(overrides)
    data = build("data", config["data"])
    data.setup()
    parts = assemble(config, data.spec)
    network = Bare(len(data.spec.inputs.vocabulary), parts.frontend.output_size, config["model"]["hidden_size"])
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in parts.parameters())
    rounds = []
    for number in range(arguments.rounds):
        pair = [
            lambda: seqkit_rate(config, data, warmup),
            lambda: bare_rate(config, data.part("train").tokens, network, warmup),
        ]
        rates = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            rates[side] = pair[side]()
        rounds.append({"seqkit": rates[0], "bare": rates[1], "ratio": rates[0] / rates[1]})
        print(
            f"round {number + 1}: seqkit {rates[0]:.2f}, bare {rates[1]:.2f} steps/s, ratio {rates[0] / rates[1]:.3f}"
        )
    ratio = statistics.median(entry["ratio"] for entry in rounds)
    machine = (
        f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}, lightning {pl.__version__}"
    )
    print(f"median ratio {ratio:.3f} of seqkit's steps per second to the bare loop's ({machine})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"ratio": ratio, "machine": machine, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
