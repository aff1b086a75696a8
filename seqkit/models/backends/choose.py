"""The choice of the backend that runs a layer: one that computes the options in use exactly, the fastest of these."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from seqkit.errors import ConfigError
from seqkit.models.backends.fused.functions import IN_C, choose_loops
from seqkit.models.cell import backends_of

Backend = Literal["auto", "native", "fused", "parallel", "reference"]


class LayerBackend(NamedTuple):
    """The backend that runs a layer (counted from 0), and the reason for it."""

    layer: int
    name: str
    reason: str


@dataclass(frozen=True)
class Circumstances:
    """The options and circumstances that the choice for a layer depends on.

    Attributes:
        asked: ``model.backend``.
        compile: Whether the step is to be compiled.
        hidden_size: H.
        zoneout: Whether any state has it.
        layer_norm: Whether the projections are normalised.
        variational_dropout: Whether it is in use.
        padded: Whether the lengths of the batch differ.
        recording: Whether gates are being recorded.
    """

    asked: Backend
    compile: bool
    hidden_size: int
    zoneout: bool
    layer_norm: bool
    variational_dropout: bool
    padded: bool = False
    recording: bool = False

    @property
    def unknown_to_native(self) -> str:
        """The options in use that torch's kernels cannot compute, in words; empty where they can."""
        used = {name: getattr(self, name) for name in ("zoneout", "layer_norm", "variational_dropout")}
        return " or ".join(name for name, on in used.items() if on)


def check_asked(cell: Any, at: Circumstances) -> None:
    """Refuse a backend that the cell does not have or that does not compute the options in use.

    Raises:
        ConfigError: It is asked for.
    """
    name, has = type(cell).__name__, backends_of(cell)
    if at.asked != "auto" and at.asked not in has:
        raise ConfigError(f"model.backend={at.asked}: {name} has only {', '.join(has)}")
    if at.compile and at.asked not in ("auto", "reference"):
        raise ConfigError(
            f"model.compile=true compiles the reference backend's step; model.backend={at.asked} does not run it"
        )
    if at.asked == "native" and at.unknown_to_native:
        raise ConfigError(
            f"model.backend=native: torch's kernels know no {at.unknown_to_native}; use model.backend=auto"
        )
    if at.asked == "parallel" and at.layer_norm:
        raise ConfigError(
            "model.backend=parallel: layer_norm lets the units of a layer see each other; use model.backend=auto"
        )


def choose(cell: Any, weight: torch.Tensor, at: Circumstances) -> tuple[str, str]:
    """Return the backend to run a layer by, and the reason.

    Args:
        cell: Of the layer.
        weight: A parameter, for its device and dtype.
        at: Options and circumstances.
    """
    name, has = type(cell).__name__, backends_of(cell)
    if at.recording:
        return "reference", "gates are being recorded"
    if at.asked != "auto":
        return at.asked, f"asked for by model.backend={at.asked}"
    if at.compile:
        return "reference", "asked for by model.compile=true"
    unknown = at.unknown_to_native
    if "native" in has and not unknown:
        slower_when = ""
        if "fused" in has and weight.device.type == "cpu":
            slower_when = _native_slower_reason(cell, weight, at)
        if slower_when:
            return "fused", f"on a CPU torch's kernel for {name} is slower {slower_when}"
        return "native", f"torch's own kernels compute {name} exactly"
    reason = f"torch's kernels know no {unknown}" if "native" in has else f"torch has no kernel for {name}"
    if "fused" in has:
        return "fused", f"{reason}, but its gradient is written by hand"
    if "parallel" in has:
        return "reference", f"{reason}; model.backend=parallel may be faster on long sequences"
    return "reference", f"{reason}, and {name} has no faster backend than its step"


def choose_in_words(cell: Any, weight: torch.Tensor, at: Circumstances) -> tuple[str, str]:
    """Return the same as ``choose``, the reason with where the loop of the fused backend runs."""
    backend, reason = choose(cell, weight, at)
    if backend == "fused":
        reason += f"; its loop runs {choose_loops(weight.device, weight.dtype, at.layer_norm)[1]}"
    return backend, reason


def _native_slower_reason(cell: Any, weight: torch.Tensor, at: Circumstances) -> str:
    """Return when torch's kernel is slower than the fused backend on a CPU, if it is now (benchmarks/cells.py)."""
    gradients = torch.is_grad_enabled()
    if cell.native is torch.lstm:
        if at.padded:
            return "when lengths differ"
        in_c = gradients and at.hidden_size <= 256 and not IN_C.unavailable_reason(weight.device, weight.dtype)
        return "in training up to 256 units" if in_c else ""
    if gradients:
        return "in training"
    return "" if IN_C.unavailable_reason(weight.device, weight.dtype) else "without gradients"
