"""Plugins as authors write them: files, and distributions as pip leaves them in a folder of installed packages."""

from pathlib import Path

CELL = '''
import torch
from torch import nn
import seqkit

@seqkit.register_cell("{name}")
class Unit(nn.Module):
    """A unit of a plugin."""

    gates = ("candidate",)
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        return (torch.tanh(x_BG + {scale} * recur(h_BH)),)
'''

PRESET = """# @package _global_
# A preset of a plugin.
defaults:
  - override /model: {model}

model:
  hidden_size: 3
"""


def cell(name: str = "unit", scale: float = 0.5) -> str:
    """Return the source of a cell; another ``scale`` is another cell with the same weights."""
    return CELL.format(name=name, scale=scale)


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def distribution(
    site: Path, name: str, points: str, files: dict[str, str], version: str = "0.1.0", requires: str = ""
) -> None:
    """Write an installed distribution.

    Args:
        site: Folder of installed packages.
        name: Of the distribution.
        points: Content of its group of entry points.
        files: Its files by path.
        version: Its version.
        requires: A requirement of it.
    """
    for path, content in files.items():
        write(site / path, content)
    about = site / f"{name.replace('-', '_')}-{version}.dist-info"
    needed = f"Requires-Dist: {requires}\n" if requires else ""
    write(about / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}")
    write(about / "entry_points.txt", f"[seqkit.plugins]\n{points}\n")
    write(about / "RECORD", "".join(f"{path},,\n" for path in files))
