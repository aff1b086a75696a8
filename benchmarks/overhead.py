"""What training through seqkit costs over a bare PyTorch loop doing the same work.

    python benchmarks/overhead.py [--experiment python_source] [--rounds 9] [--steps 60] [--threads 2] [--json FILE]

Both sides train the network of an experiment on the same batches in the same process: seqkit through its whole training
(Lightning, loader, callbacks, logs), the peer through a loop of a dozen lines on ``torch.nn.LSTM``. Text is cut for the
peer from one tensor; windows and sound, the latter made on the fly, come through the data set of seqkit and torch's own
loader. They take turns; the median of the ratios of steps per second is the figure.
"""

import argparse
import json
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

from seqkit.contracts.batch import Batch
from seqkit.hydra_cli import compose
from seqkit.network import assemble
from seqkit.registry import build
from seqkit.runs.backends import backends_of_run
from seqkit.runs.folder import RunFolder
from seqkit.runs.metadata import metadata
from seqkit.training.fit import make_trainer
from seqkit.training.loader import TrainLoader
from seqkit.training.module import SequenceModule

WARMUP = 10  # steps before the clock starts


class Timer(pl.Callback):
    """Takes the time between the first and the last step of a training, past the warm-up steps."""

    def __init__(self, warmup: int) -> None:
        self.steps, self.warmup = 0, warmup

    def on_train_batch_end(self, *_) -> None:
        self.steps += 1
        if self.steps == self.warmup:
            self.started = time.perf_counter()
        self.ended = time.perf_counter()


def seqkit_rate(config: dict, data, backends: list[dict], warmup: int = WARMUP) -> float:
    """Return steps a second, after those of the warm-up, of seqkit's training by the backends that were measured."""
    with tempfile.TemporaryDirectory() as folder:
        steps = config["trainer"]["max_steps"]
        module = SequenceModule(config, data.spec, steps, {**metadata(config, data), "backends": backends})
        run = RunFolder(Path(folder))
        run.write_config(config, data.spec)
        trainer = make_trainer(config, run, steps, interval=steps)
        timer = Timer(warmup)
        trainer.callbacks.append(timer)
        loader = TrainLoader(data, 1, steps, 0, False)
        trainer.fit(module, loader)
    return (timer.steps - warmup) / (timer.ended - timer.started)


class Characters(nn.Module):
    """The network of python_source, written down directly; it carries its state."""

    def __init__(self, config: dict, data) -> None:
        super().__init__()
        vocabulary, hidden = len(data.spec.inputs.vocabulary), config["model"]["hidden_size"]
        size = assemble(config, data.spec).frontend.output_size
        self.embedding = nn.Embedding(vocabulary, size)
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, vocabulary)
        self.tokens, self.length, self.rows = data.part("train").tokens, config["data"]["seq_len"], data.batch_size

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.state = None
        lanes = self.tokens[: len(self.tokens) // self.rows * self.rows].view(self.rows, -1)
        for start in range(0, lanes.shape[1] - self.length, self.length):
            chunk = lanes[:, start : start + self.length + 1]
            yield chunk[:, :-1], chunk[:, 1:]

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        y_BTH, state = self.lstm(self.embedding(tokens_BT), self.state)
        self.state = tuple(part.detach() for part in state)
        return nn.functional.cross_entropy(self.linear(y_BTH).flatten(0, 1), targets_BT.flatten())


class Temperatures(nn.Module):
    """The network of sea_temperature: patches of changes, the last output, the last value added."""

    def __init__(self, config: dict, data) -> None:
        super().__init__()
        self.patch, self.loader = config["frontend"]["patch"], loader(data)
        self.lstm = nn.LSTM(self.patch, config["model"]["hidden_size"], batch_first=True)
        self.linear = nn.Linear(config["model"]["hidden_size"], config["data"]["horizon"])
        self.mean, self.scale = data.spec.inputs.mean[0], data.spec.inputs.scale[0]

    def batches(self) -> Iterator[Batch]:
        for batch in self.loader:
            yield batch.inputs, batch.targets

    def loss(self, inputs_BT1: Tensor, targets_BF1: Tensor) -> Tensor:
        x_BT, targets_BF = (inputs_BT1[..., 0] - self.mean) / self.scale, (targets_BF1[..., 0] - self.mean) / self.scale
        last_B1 = x_BT[:, -1:]
        y_BTH, _ = self.lstm((x_BT - last_B1).unflatten(1, (-1, self.patch)))
        forecast_BF = self.linear(nn.functional.dropout(y_BTH[:, -1], 0.2)) + last_B1
        return nn.functional.l1_loss(forecast_BF, targets_BF)


class Morse(nn.Module):
    """The network of morse: stacked log-mel frames, a packed bidirectional LSTM, CTC."""

    def __init__(self, config: dict, data) -> None:
        super().__init__()
        parts = assemble(config, data.spec)
        hidden, symbols = config["model"]["hidden_size"], len(data.spec.task.symbols)
        self.loader, self.frontend = loader(data), parts.frontend  # it has no weights; a peer's would do the same work
        self.lstm = nn.LSTM(parts.frontend.output_size, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, symbols + 1)

    def batches(self) -> Iterator[tuple[Tensor, ...]]:
        for batch in self.loader:
            yield batch.inputs, batch.lengths, batch.targets + 1, batch.target_lengths

    def loss(self, waveform_BS: Tensor, samples_B: Tensor, targets_BU: Tensor, symbols_B: Tensor) -> Tensor:
        x_BTI, steps_B = self.frontend(waveform_BS, samples_B)
        packed = pack_padded_sequence(x_BTI, steps_B, batch_first=True, enforce_sorted=False)
        y_BTH, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        log_probabilities_TBV = self.linear(y_BTH).log_softmax(2).transpose(0, 1)
        loss = nn.functional.ctc_loss(log_probabilities_TBV, targets_BU, steps_B, symbols_B, reduction="sum")
        return loss / symbols_B.sum()


def loader(data) -> DataLoader:
    """Return torch's loader over the batches of the first epoch."""
    order = data.order("train", data.batch_size, 0, 0)
    return DataLoader(data.part("train"), batch_sampler=order, collate_fn=data.collate)


BARE: dict[str, Callable[..., nn.Module]] = {
    "python_source": Characters,
    "sea_temperature": Temperatures,
    "morse": Morse,
}


def bare_rate(config: dict, network: nn.Module) -> float:
    """Return steps a second of a bare loop: gradient clipping, AdamW, a cosine schedule."""
    steps = config["trainer"]["max_steps"]
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["optimizer"]["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step, batch in enumerate(network.batches(), 1):
        loss = network.loss(*batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), config["trainer"]["gradient_clip_val"])
        optimizer.step()
        schedule.step()
        if step == WARMUP:
            started = time.perf_counter()
        if step == steps:
            return (steps - WARMUP) / (time.perf_counter() - started)
    raise SystemExit(f"--steps: the training part has {step} batches; give at most {step - WARMUP}")


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=BARE, default="python_source")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    steps = f"trainer.max_steps={arguments.steps + WARMUP}"
    config = compose(
        [f"experiment={arguments.experiment}", steps, "trainer.max_epochs=null", "trainer.accelerator=cpu"]
    )
    data = build("data", config["data"])
    data.setup()
    backends = backends_of_run(config, data, torch.device("cpu"), arguments.steps + WARMUP, None)
    network = BARE[arguments.experiment](config, data)
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in assemble(config, data.spec).parameters()
    )
    rounds = []
    for number in range(arguments.rounds):
        pair = [lambda: seqkit_rate(config, data, backends), lambda: bare_rate(config, network)]
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
    print(
        f"{arguments.experiment}: median ratio {ratio:.3f} of seqkit's steps per second to the bare loop's ({machine})"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"ratio": ratio, "machine": machine, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
