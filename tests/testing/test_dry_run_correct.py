"""What looks odd and is right gets past the dry run, which never goes through all data and changes no training."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import seqkit
from seqkit import experiment, registry
from seqkit.data.loading import set_up
from seqkit.data.ordering import sequential
from seqkit.data.synthetic import Adding
from seqkit.padding import after_last
from seqkit.runs.checkpoint import Checkpoint
from seqkit.tasks.forecast.head import Forecast
from seqkit.testing.dry_run.run import dry_run
from seqkit.testing.training import tiny_config
from tests.testing.mutants import STREAMS


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})


class Gru(nn.Module):
    """A GRU of torch."""

    causal = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = 4
        self.gru = nn.GRU(input_size, 4, batch_first=True)

    def forward(self, x_BTI, lengths=None, state=None):
        start = state[0] if state else x_BTI.new_zeros(1, len(x_BTI), 4)
        y_BTH, _ = self.gru(x_BTI, start)
        return y_BTH, (after_last(y_BTH.transpose(0, 1), lengths, start[0])[None],)


class EchoState(Gru):
    """Random weights that nobody trains."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.requires_grad_(False)


class StartsAtZero(Gru):
    """A branch that adds nothing at first."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 4)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x_BTI, lengths=None, state=None):
        y_BTH, state = super().forward(x_BTI, lengths, state)
        return y_BTH + self.outer(self.inner(y_BTH).tanh()), state


class Masked(Gru):
    """A learned frame in the place of few."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.frame = nn.Parameter(torch.randn(input_size))

    def forward(self, x_BTI, lengths=None, state=None):
        hidden_BT1 = torch.rand(x_BTI.shape[:2]).lt(0.01 * self.training)[..., None]
        return super().forward(torch.where(hidden_BT1, self.frame, x_BTI), lengths, state)


class LeftOut(Gru):
    """Stochastic depth: a layer that is left out of every second step."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.layer = nn.Linear(4, 4)

    def forward(self, x_BTI, lengths=None, state=None):
        y_BTH, state = super().forward(x_BTI, lengths, state)
        if self.training and torch.rand(()) < 0.5:
            return y_BTH, state
        return y_BTH + 0.5 * self.layer(y_BTH), state


class Cached(Gru):
    """Positions in a buffer that grows, and is not saved."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.register_buffer("positions", torch.zeros(0), persistent=False)

    def forward(self, x_BTI, lengths=None, state=None):
        if len(self.positions) < x_BTI.shape[1]:
            self.positions = torch.arange(x_BTI.shape[1]) / 100
        y_BTH, _ = super().forward(x_BTI, lengths, state)
        return y_BTH + self.positions[: x_BTI.shape[1], None], ()


class Packed(Gru):
    """Takes no row of length 0, of which the data have none."""

    def forward(self, x_BTI, lengths=None, state=None):
        lengths = torch.full((len(x_BTI),), x_BTI.shape[1]) if lengths is None else lengths
        packed = nn.utils.rnn.pack_padded_sequence(x_BTI, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.gru(packed)
        return nn.utils.rnn.pad_packed_sequence(y, True, total_length=x_BTI.shape[1])[0], ()


class Weighted(Forecast):
    """A mean by weights that are no whole numbers."""

    def loss(self, outputs, lengths, batch):
        total, count = super().loss(outputs, lengths, batch)
        return 0.3 * total, 0.3 * count


class ZeroHead(Forecast):
    """Begins with a prediction of zero, and so without a gradient for the model."""

    def __init__(self, output_size: int, spec: seqkit.DataSpec, causal: bool) -> None:
        super().__init__(output_size, spec, causal)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class Noisy(torch.optim.SGD):
    """Langevin dynamics: noise of torch's generator in each step, and a rate that no toy problem bears."""

    def __init__(self, parameters: list, *, lr: float = 30.0) -> None:
        super().__init__(parameters, lr=lr)

    @torch.no_grad()
    def step(self, closure=None):
        loss = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(group["lr"] * torch.randn_like(parameter), alpha=1e-3)
        return loss


class Newton(torch.optim.LBFGS):
    """One that cannot do without a closure, and knows one group only."""

    def __init__(self, parameters: list, *, lr: float = 0.1) -> None:
        super().__init__([one for group in parameters for one in group["params"]], lr=lr)


def warm(total_steps: int, mode: str, *, warmup: int = 2):
    """Refuses trainings that are shorter than the run's."""
    if total_steps != 5:
        raise seqkit.ConfigError("made for the run's steps")
    return lambda step: min(1.0, (step + 1) / warmup)


class Small(Adding):
    def __init__(self) -> None:
        super().__init__(length=6, train_size=12, valid_size=8, test_size=8, batch_size=4)


class Unshuffled(Small):
    """In the order of time, in training too."""

    def order(self, split, batch_size, seed, epoch):
        return sequential(self.sizes[split], batch_size)


class Augmented(Small):
    """Noise on the training samples, of torch's generator."""

    def part(self, split):
        part = super().part(split)
        return part if split != "train" else [(part[n][0] + torch.randn(()), part[n][1]) for n in range(len(part))]


CORRECT = {
    "model": (EchoState, StartsAtZero, Masked, LeftOut, Cached, Packed),
    "head": (Weighted, ZeroHead),
    "optimizer": (Noisy, Newton),
    "scheduler": (warm,),
    "data": (Unshuffled, Augmented),
}


def dry(chosen: dict, last: Checkpoint | None = None) -> None:
    config = tiny_config(chosen)
    data = registry.build("data", config["data"])
    set_up(data)
    dry_run(config, data, torch.device("cpu"), {"config": config}, last)


@pytest.mark.parametrize(("kind", "factory"), [(kind, one) for kind, found in CORRECT.items() for one in found])
def test_odd_and_right(kind, factory):
    registry.register(kind, "odd")(factory)
    dry({kind: "odd"})


class Counted:
    """A part of ten million samples, which counts those that are read."""

    def __init__(self, samples) -> None:
        self.samples, self.read = samples, 0

    def __len__(self) -> int:
        return 10_000_000

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(index)
        self.read += 1
        return self.samples[index % len(self.samples)]


class Batches(Sequence):
    """Counts the batches that are asked for."""

    def __init__(self, asked: list) -> None:
        self.asked = asked

    def __len__(self) -> int:
        return 2_500_000

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(index)
        self.asked.append(index)
        return list(range(4 * index, 4 * index + 4))


def test_it_never_goes_through_all_data():
    asked: list[int] = []
    made = []

    @seqkit.register_data("huge")
    class Huge(Small):
        def setup(self):
            super().setup()
            self._parts = {split: Counted(part) for split, part in self._parts.items()}
            made.append(self)

        def order(self, split, batch_size, seed, epoch):
            return Batches(asked)

    dry({"data": "huge"})
    [data] = made
    assert sum(part.read for part in data._parts.values()) < 300
    assert len(asked) < 100


def leaky(self, x_BG, recur, state):
    h_BH = 0.5 * state[0] + 0.5 * torch.tanh(x_BG + recur(state[0]))
    return (nn.functional.dropout(h_BH, 0.2, self.training) * (1 + 0.01 * random.random() * self.training),)


def trained(config: dict, name: str, dry: bool) -> tuple[dict, dict]:
    """Train a run, or go on with it, and return its weights and the results in its report."""
    options = {**config["trainer"], "dry_run": dry}
    report = experiment.train({**config, "name": "run", "runs": name, "id": "a", "trainer": options})
    last = Checkpoint.read(Path(name, "run/a/checkpoints/last.ckpt"))
    return last.weights, {key: report[key] for key in ("test", "valid", "baselines", "sample", "best_step")}


@pytest.mark.parametrize(("data", "model"), [
    ({"name": "text_files", **dict(word.removeprefix("data.").split("=") for word in STREAMS)}, {"name": "leaky"}),
    (None, {"name": "lstm", "hidden_size": 4, "num_layers": 2, "dropout": 0.5}),
], ids=["streams and a plugin cell with random numbers", "dropout"])  # fmt: skip
def test_a_training_is_the_same_with_and_without_it_and_when_it_is_resumed(data, model, monkeypatch):
    seqkit.register_cell("leaky")(type("Leaky", (nn.Module,), {"gates": ("n",), "states": ("h",), "step": leaky}))
    if data:
        numbers = {key: int(data[key]) for key in ("seq_len", "batch_size", "eval_streams")}
        data = {**data, **numbers, "split": [0.8, 0.1, 0.1]}
    config = tiny_config({"model": model, **({"data": data} if data else {})})
    due = trained(config, "without", dry=False)
    found = trained(config, "with", dry=True)
    stopped_at(monkeypatch, 3, lambda: trained(config, "resumed", dry=True))
    resumed = trained(config, "resumed", dry=True)
    for weights, report in (found, resumed):
        assert all(torch.equal(weights[name], value) for name, value in due[0].items())
        assert report == due[1]


class Killed(BaseException):
    """Stands for a SIGKILL."""


def stopped_at(monkeypatch, step: int, train) -> None:
    """Kill a training in the loading of a batch."""
    from seqkit.training.loader import TrainLoader

    whole = TrainLoader.__iter__

    def some(self):
        for number, batch in enumerate(whole(self)):
            if number == step:
                raise Killed
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(TrainLoader, "__iter__", some)
        with pytest.raises(Killed):
            train()
