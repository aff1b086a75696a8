"""Waveforms: mono sound."""

# S samples

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqkit.inputs.chunks import as_numbers
from seqkit.inputs.waveform.reading import read
from seqkit.registry import register_inputs


@register_inputs("waveform")
@dataclass(frozen=True)
class Waveform:
    """Mono sound, one float per sample in -1 to 1.

    Attributes:
        sample_rate: Samples per second.
    """

    frontend: ClassVar[str] = "logmel"
    endings: ClassVar[tuple[str, ...]] = (".wav", ".flac")
    cells: ClassVar[str] = "paths of recordings"
    meaning: ClassVar[str] = "samples in -1 to 1, spec.inputs.sample_rate per second"
    sample_rate: int

    @property
    def example_steps(self) -> int:
        """One second."""
        return self.sample_rate

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return waveform_S of a WAV or FLAC file, or of an array (S,) at the sample rate."""
        waveform_S = read(source, self.sample_rate)
        return waveform_S[-lookback:] if lookback else waveform_S

    def read_cell(self, cell: str, folder: Path) -> Tensor:
        """Return waveform_S of the file whose path, relative to ``folder``, is in a cell of a table."""
        return read(folder / Path(cell).expanduser(), self.sample_rate)

    def chunk(self, chunk: Any) -> Tensor:
        return as_numbers(chunk, (), f"samples (samples,), {self.sample_rate} a second")

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        waveform_BS = torch.randn(rows, steps, generator=draw) / 10
        waveform_BS[:, : steps // 3] = 0  # silence: a floor under a logarithm shows
        return waveform_BS
