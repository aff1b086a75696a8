"""Cost of installed plugins that a command does not use: 10 of them against none.

    python benchmarks/plugins.py [--rounds 7]

Each plugin registers one small cell, and is found by an entry point on PYTHONPATH. Printed are the processor seconds of
each command, which other processes disturb less than those of the clock: the least of all rounds, in which the two ways
take turns. The difference is to be below 0.1 s. `list` loads every plugin; `train` and `describe` of a built-in model
load none.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

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
    """Return the processor seconds of a command with this PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    before = os.times()
    subprocess.run([sys.executable, "-m", "seqkit", *command], env=environment, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as text:
        make_plugins(Path(text), 10)
        for name, command in COMMANDS.items():
            pairs = [(seconds(command, ""), seconds(command, text)) for _ in range(rounds + 1)][1:]
            without, with_ten = (min(column) for column in zip(*pairs, strict=True))
            print(f"{name}: {without:.3f} s without, {with_ten:.3f} s with 10 plugins, {with_ten - without:+.3f} s")


if __name__ == "__main__":
    main()
