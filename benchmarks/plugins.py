"""Cost of installed plugins that a command does not use: 10 of them against none.

    python benchmarks/plugins.py [--rounds 7]

Each plugin registers one small cell, and is found by an entry point on PYTHONPATH. The two ways take turns, since the
machine's speed drifts; printed are the median seconds of each command, and the difference, which is to be below 0.1 s.
`list` loads every plugin; `train` and `describe` of a built-in model load none.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COMMANDS = {
    "list": ["list"],
    "describe model=lstm": ["describe", "model=lstm"],
    "train model=lstm --cfg job": ["train", "model=lstm", "--cfg", "job"],
}
CELL = '''
import torch
from torch import nn
import seqkit

@seqkit.register_cell("bench{number}")
class Bench(nn.Module):
    """A cell to measure with."""

    gates = ("candidate",)
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG + recur(state[0])),)
'''


def make_plugins(folder: Path, count: int) -> None:
    for number in range(count):
        name = f"seqkit_bench{number}"
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(CELL.replace("{number}", str(number)))
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[seqkit.plugins]\nbench{number} = {name}\n")


def seconds(command: list[str], path: str) -> float:
    environment = {**os.environ, "PYTHONPATH": path}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "seqkit", *command], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as text:
        make_plugins(Path(text), 10)
        for name, command in COMMANDS.items():
            pairs = [(seconds(command, ""), seconds(command, text)) for _ in range(rounds + 1)][1:]
            without, with_ten = (median(column) for column in zip(*pairs, strict=True))
            print(f"{name}: {without:.3f} s without, {with_ten:.3f} s with 10 plugins, {with_ten - without:+.3f} s")


if __name__ == "__main__":
    main()
