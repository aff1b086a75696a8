"""What a layer of seqkit costs beside what people use instead, in the same process.

    python benchmarks/cells.py [--rounds 9] [--threads 2] [--device cpu] [--cells NAME ...] [--json FILE]
    python benchmarks/cells.py --memory

Peers: ``torch.nn.LSTM`` (oneDNN or cuDNN) for lstm, peephole_lstm and cifg_lstm, ``torch.nn.GRU`` for gru,
``torch.nn.RNN`` for elman. A cell that states nothing but ``step``, as a plugin's does, stands beside the backend that
everybody writes: two linear layers and the equations at every step ("normed": with layer normalisation and zoneout).
Each pair takes turns, after one warm-up; the
figure is the median over the rounds of ours by theirs, forward (no gradients) and forward with backward. Below 1 is
faster. Ours runs by the backend that is measured to be the fastest, as in a training; the line below a row has the
times of the candidates. ``--memory`` gives the peak memory of a training step in a process of its own, above what torch
takes itself.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from seqkit import registry
from seqkit.models import Recurrent

# T steps, B batch, I input, H hidden
CPU_SHAPES = (
    *((35, 20, 200, 200), (128, 32, 256, 256), (100, 64, 40, 128), (784, 16, 1, 128), (35, 80, 400, 1150)),
    *((200, 1, 64, 256), (5, 256, 128, 512)),  # one sequence, and many short ones
)
GPU_SHAPES = (*CPU_SHAPES, (1024, 16, 768, 768))
PEERS = {"lstm": nn.LSTM, "peephole_lstm": nn.LSTM, "cifg_lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}
MEMORY_SHAPE = 128, 32, 256, 256
ZONEOUT = 0.1


class MGU(nn.Module):
    """Minimal gated unit (Zhou et al. 2016), as a plugin would write it."""

    gates = "forget", "candidate"
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        x_f, x_n = x_BG.chunk(2, dim=1)
        f = torch.sigmoid(x_f + recur(h_BH, "forget"))
        n = torch.tanh(x_n + recur(f * h_BH, "candidate"))
        return ((1 - f) * h_BH + f * n,)


class NaiveMGU(nn.Module):
    """The same as one writes it without seqkit."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.x_f, self.x_n = nn.Linear(input_size, hidden_size), nn.Linear(input_size, hidden_size)
        self.h_f, self.h_n = nn.Linear(hidden_size, hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x_BTI):
        h, outputs = x_BTI.new_zeros(len(x_BTI), self.h_f.out_features), []
        for t in range(x_BTI.shape[1]):
            x = x_BTI[:, t]
            f = torch.sigmoid(self.x_f(x) + self.h_f(h))
            n = torch.tanh(self.x_n(x) + self.h_n(f * h))
            h = (1 - f) * h + f * n
            outputs.append(h)
        return torch.stack(outputs, 1), h


class PeepholeStep(nn.Module):
    """The peephole LSTM as a plugin would write it: no gradient by hand."""

    gates = "input", "forget", "cell", "output"
    states = "hidden", "cell"

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size))

    def step(self, x_BG, recur, state):
        h, c = state
        p_i, p_f, p_o = self.peephole
        i, f, g, o = (x_BG + recur(h)).chunk(4, dim=1)
        i, f = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c)
        c = f * c + i * torch.tanh(g)
        return torch.sigmoid(o + p_o * c) * torch.tanh(c), c


class NaivePeephole(nn.Module):
    """The same as one writes it without seqkit."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.x, self.h = nn.Linear(input_size, 4 * hidden_size), nn.Linear(hidden_size, 4 * hidden_size)
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.zeros(hidden_size)) for _ in range(3))

    def forward(self, x_BTI):
        h = c = x_BTI.new_zeros(len(x_BTI), self.h.in_features)
        outputs = []
        for t in range(x_BTI.shape[1]):
            i, f, g, o = (self.x(x_BTI[:, t]) + self.h(h)).chunk(4, dim=1)
            i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(o + self.p_o * c) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)


class NaiveNormedMGU(NaiveMGU):
    """With layer normalisation of every product, and zoneout."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(4))

    def forward(self, x_BTI):
        h, outputs, (x_f, x_n, h_f, h_n) = x_BTI.new_zeros(len(x_BTI), self.h_f.out_features), [], self.norms
        for t in range(x_BTI.shape[1]):
            x = x_BTI[:, t]
            f = torch.sigmoid(x_f(self.x_f(x)) + h_f(self.h_f(h)))
            n = torch.tanh(x_n(self.x_n(x)) + h_n(self.h_n(f * h)))
            h = zoned_out((1 - f) * h + f * n, h)
            outputs.append(h)
        return torch.stack(outputs, 1), h


class NaiveNormedPeephole(NaivePeephole):
    """With layer normalisation of each gate of every product, and zoneout."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(8))

    def forward(self, x_BTI):
        h = c = x_BTI.new_zeros(len(x_BTI), self.h.in_features)
        outputs = []
        for t in range(x_BTI.shape[1]):
            products = *self.x(x_BTI[:, t]).chunk(4, dim=1), *self.h(h).chunk(4, dim=1)
            normal = [norm(product) for norm, product in zip(self.norms, products, strict=True)]
            i, f, g, o = (x + u for x, u in zip(normal[:4], normal[4:], strict=True))
            i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
            c_new = f * c + i * torch.tanh(g)
            h_new = torch.sigmoid(o + self.p_o * c_new) * torch.tanh(c_new)
            h, c = zoned_out(h_new, h), zoned_out(c_new, c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)


def zoned_out(new_BH: torch.Tensor, old_BH: torch.Tensor) -> torch.Tensor:
    """Return a state with a tenth of its units as before."""
    return torch.where(torch.rand_like(new_BH) < ZONEOUT, old_BH, new_BH)


def pairs(cells: list[str], I: int, H: int, backends: list[str]) -> list[tuple[str, str, nn.Module, nn.Module]]:  # noqa: E741
    """Return (cell, peer, ours, theirs) for one shape."""
    found = []
    for name in cells:
        if name in PEERS:
            for backend in backends:
                ours = registry.build("model", {"name": name, "hidden_size": H, "backend": backend}, I)
                found.append((name, f"nn.{PEERS[name].__name__}", ours, PEERS[name](I, H, batch_first=True)))
    if "step" in cells:
        found.append(("MGU by step alone", "naive loop", Recurrent(MGU, I, hidden_size=H), NaiveMGU(I, H)))
        peephole = Recurrent(PeepholeStep, I, hidden_size=H)
        found.append(("peephole by step alone", "naive loop", peephole, NaivePeephole(I, H)))
    if "normed" in cells:
        options = {"hidden_size": H, "layer_norm": True, "zoneout": ZONEOUT}
        found.append(("MGU by step, normed", "naive loop", Recurrent(MGU, I, **options), NaiveNormedMGU(I, H)))
        peephole = Recurrent(PeepholeStep, I, **options)
        found.append(("peephole by step, normed", "naive loop", peephole, NaiveNormedPeephole(I, H)))
    if "layer_norm" in cells:  # beside torch's, which has none
        for name in ("lstm", "peephole_lstm"):
            ours = registry.build("model", {"name": name, "hidden_size": H, "layer_norm": True}, I)
            found.append((f"{name} layer_norm", "nn.LSTM", ours, nn.LSTM(I, H, batch_first=True)))
    if "plain" in cells:  # what a peephole LSTM costs without a fused backend
        plain = registry.build("model", {"name": "peephole_lstm", "hidden_size": H, "backend": "reference"}, I)
        fused = registry.build("model", {"name": "peephole_lstm", "hidden_size": H}, I)
        found.append(("peephole_lstm", "its plain loop", fused, plain))
    return found


def seconds(model: nn.Module, x_BTI: torch.Tensor, train: bool, half: bool) -> float:
    """Return the time of one call."""

    def wait() -> None:
        if x_BTI.is_cuda:
            torch.cuda.synchronize()

    wait()
    started = time.perf_counter()
    with torch.autocast(x_BTI.device.type, torch.bfloat16, enabled=half), torch.set_grad_enabled(train):
        y = model(x_BTI)[0]
    if train:
        y.backward(torch.ones_like(y))
    wait()
    return time.perf_counter() - started


def ratio(ours: nn.Module, theirs: nn.Module, x_BTI: torch.Tensor, train: bool, rounds: int, half: bool) -> float:
    """Return the median of ours by theirs over rounds in which they take turns."""
    found = []
    for number in range(rounds + 1):
        times = {}
        for model in (ours, theirs) if number % 2 else (theirs, ours):
            for weight in model.parameters():
                weight.grad = None
            times[model] = seconds(model, x_BTI, train, half)
        if number:
            found.append(times[ours] / times[theirs])
    return statistics.median(found)


def measure(arguments: argparse.Namespace) -> list[dict]:
    """Measure every pair on every shape and print a line for each."""
    device = torch.device(arguments.device)
    shapes = CPU_SHAPES if device.type == "cpu" else GPU_SHAPES
    rows = []
    print(f"{'T, B, I, H':>22}  {'cell':<23} {'backend':<7} {'peer':<15} {'forward by':>15} {'training':>9}")
    for shape in [shapes[number] for number in arguments.shapes or range(len(shapes))]:
        T, B, I, H = shape  # noqa: E741
        x_BTI = torch.randn(B, T, I, device=device, requires_grad=True)
        for half in (False, True) if device.type == "cuda" else (False,):
            for cell, peer, ours, theirs in pairs(arguments.cells, I, H, arguments.backends):
                ours, theirs = ours.to(device), theirs.to(device)
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    ours.measure_backends(x_BTI)
                forward, train = (ratio(ours, theirs, x_BTI, train, arguments.rounds, half) for train in (False, True))
                with torch.no_grad():
                    forward_backend = ours.backends()[0].name
                row = {
                    "shape": shape,
                    "cell": cell,
                    "backend": ours.backends()[0].name,
                    "forward_backend": forward_backend,
                    "peer": peer,
                    "device": str(device),
                    "threads": torch.get_num_threads(),
                    "dtype": "bfloat16" if half else "float32",
                    "measured": [choice._asdict() for choice in ours.choices],
                    "ratio_forward": round(forward, 4),
                    "ratio_train": round(train, 4),
                }
                rows.append(row)
                note = " bf16" if half else ""
                sizes = ", ".join(map(str, shape))
                print(
                    f"{sizes:>22}  {cell:<23} {row['backend']:<9} {peer + note:<15} {forward_backend:>9}"
                    f"{forward:>8.2f} {train:>9.2f}",
                    flush=True,
                )
                if ours.backends()[0].measured:
                    print(f"{'':>24}{ours.backends()[0].reason}")
    return rows


def summary(rows: list[dict]) -> list[str]:
    """Return a line for each kind of pair: geometric mean and worst over the shapes."""
    kinds = dict.fromkeys((row["cell"], row["backend"], row["peer"], row["dtype"]) for row in rows)
    lines = []
    for kind in kinds:
        values = [
            row["ratio_train"] for row in rows if (row["cell"], row["backend"], row["peer"], row["dtype"]) == kind
        ]
        mean = math.exp(statistics.fmean(map(math.log, values)))
        lines.append(
            f"{kind[0]} ({kind[1]}) beside {kind[2]}, {kind[3]}, training: {mean:.2f} on the geometric mean of "
            f"{len(values)} shapes, {max(values):.2f} at worst"
        )
    return lines


PEAK = r"""
import re, torch
from torch import nn
from seqkit import registry
registry.load_built_in()
T, B, I, H = {shape}
torch.set_num_threads({threads})
model = {model}
x = torch.randn(B, T, I, requires_grad=True)
model(x[:1, :2])[0].sum().backward()  # so that what is loaded or compiled once is there
def kilobytes(what):
    return int(re.search(what + r":\s*(\d+)", open("/proc/self/status").read())[1])
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = kilobytes("VmRSS")
y = model(x)[0]
y.backward(torch.ones_like(y))
print(kilobytes("VmHWM") - before)
"""


def peak(model: str, threads: int) -> float:
    """Return the peak memory of one training step in MB, the median of five processes."""
    script = PEAK.format(shape=MEMORY_SHAPE, threads=threads, model=model)
    command = [sys.executable, "-c", script]
    found = [int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(5)]
    return statistics.median(found) / 1024


def memory(arguments: argparse.Namespace) -> list[dict]:
    """Measure peak memory of training beside the peers and print a line for each cell."""
    rows, peers = [], {}
    for name in arguments.cells:
        if name not in PEERS:
            continue
        peer = f"nn.{PEERS[name].__name__}"
        if peer not in peers:
            peers[peer] = peak(f"{peer}(I, H, batch_first=True)", arguments.threads)
        for backend in arguments.backends:
            config = {"name": name, "backend": backend, "hidden_size": MEMORY_SHAPE[3]}
            ours = peak(f"registry.build('model', {config}, I)", arguments.threads)
            rows.append(
                {"cell": name, "backend": backend, "peer": peer, "mb": ours, "ratio_memory": ours / peers[peer]}
            )
            print(f"{name} ({backend}): {ours:.0f} MB, {peer} {peers[peer]:.0f} MB, ratio {ours / peers[peer]:.2f}")
    return rows


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*PEERS, "step", "normed", "layer_norm", "plain"]
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shapes", type=int, nargs="+", help="numbers of the shapes, from 0 (default: all)")
    parser.add_argument(
        "--cells", nargs="+", choices=known, default=["lstm", "peephole_lstm", "cifg_lstm", "gru", "step", "normed"]
    )
    parser.add_argument("--backends", nargs="+", choices=["auto", "native", "fused", "reference"], default=["auto"])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    registry.load_built_in()
    name = torch.cuda.get_device_name() if arguments.device != "cpu" else platform.processor() or platform.machine()
    print(f"{name}, {arguments.threads} threads, Python {platform.python_version()}, torch {torch.__version__}")
    for cell in arguments.cells:
        if cell in PEERS:
            model = registry.build("model", {"name": cell}, 1).to(arguments.device)
            print(f"{cell}: {model.backends()[0].name}: {model.backends()[0].reason}")
    if arguments.memory:
        rows = memory(arguments)
    else:
        rows = measure(arguments)
        print("\n".join(summary(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
