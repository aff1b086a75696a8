"""The choice of the backend that runs a layer: one that computes the options in use exactly, the fastest of these.

Which one is the fastest is measured where that pays (``measure``). Everywhere else, and where two are about as fast,
the rules of ``default`` decide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from seqkit.errors import ConfigError
from seqkit.models.backends.compiled.loop import fingerprint, unavailable_reason
from seqkit.models.backends.compiled.trace import Options
from seqkit.models.backends.fused import functions
from seqkit.models.backends.fused.functions import IN_C, IN_TORCH, IN_TRITON, takes_loops
from seqkit.models.backends.fused.problem import Loops
from seqkit.models.backends.timings import are_seconds
from seqkit.models.cell import backends_of

Backend = Literal["auto", "native", "fused", "compiled", "parallel", "reference"]
MEASURED = "measured: "
NEAR = 2  # powers of two between the steps, or the batch, of a call and those that were measured


class Candidate(NamedTuple):
    """A way to run a layer: a backend and, of the fused one, the loops over time."""

    backend: str
    loops: Loops | None = None

    @property
    def label(self) -> str:
        """Its name where candidates are compared, as "fused in C"."""
        return self.backend if self.loops is None else f"{self.backend} in {self.loops.language}"


CANDIDATES = (
    Candidate("native"),
    Candidate("fused", IN_C),
    Candidate("fused", IN_TRITON),
    Candidate("fused", IN_TORCH),
    Candidate("fused"),
    Candidate("compiled"),
    Candidate("parallel"),
    Candidate("reference"),
)
"""All that can be chosen, and are measured where they are exact; ``Recurrent`` runs a layer by one of them."""
BY_LABEL = {candidate.label: candidate for candidate in CANDIDATES}


class LayerBackend(NamedTuple):
    """The backend that runs a layer (counted from 0), and the reason for it; ``loops`` says where its loop runs."""

    layer: int
    name: str
    reason: str
    loops: str = ""

    @property
    def measured(self) -> bool:
        """Whether it was chosen by measurement."""
        return self.reason.startswith(MEASURED)

    @property
    def conditions(self) -> str:
        """What decides its bits: backend and loops, without the reason."""
        return f"{self.name}, its loop {self.loops}" if self.loops else self.name


class Choice(NamedTuple):
    """A choice by measurement, which holds for the calls of a stack's layers of about the measured size.

    Attributes:
        gradients: Whether the calls are to be differentiated, as in training.
        padded: Whether lengths differ.
        device: Type of the device: "cpu".
        steps: T of the measured call.
        batch: B of the measured call.
        label: Of the candidate chosen.
        seconds: Of a call of a layer by each candidate, by label.
    """

    gradients: bool
    padded: bool
    device: str
    steps: int
    batch: int
    label: str
    seconds: dict[str, float]

    @property
    def reason(self) -> str:
        """The measured times in words."""
        own = self.seconds[self.label]
        others = sorted((time, label) for label, time in self.seconds.items() if label != self.label)
        words = " and ".join(f"{_time(time)} ({label})" for time, label in others)
        near = ", too little or too unsteady a lead to leave the default" if others[0][0] < own else ""
        return f"{MEASURED}{_time(own)} against {words}{near}, for {self.steps} steps of batch {self.batch}"


def choices_to_json(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """Return choices as plain JSON."""
    return [choice._asdict() for choice in choices]


def choices_from_json(values: Any) -> tuple[Choice, ...]:
    """Return the choices that ``choices_to_json`` returned; raises ``ValueError`` for anything else."""
    fields: dict[str, type] = {"gradients": bool, "padded": bool, "device": str, "steps": int, "batch": int}
    for value in values if isinstance(values, list) else [None]:
        if not isinstance(value, dict) or value.keys() != set(Choice._fields):
            raise ValueError("not a list of choices between backends")
        if any(not isinstance(value[name], kind) for name, kind in fields.items()):
            raise ValueError("a choice between backends has a value of another type")
        if value["label"] not in BY_LABEL or not are_seconds(value["seconds"], value["label"]):
            raise ValueError("a choice between backends without the times that were measured")
    return tuple(Choice(**value) for value in values)


def use_choices(model: Any, choices: Any) -> None:
    """Let a model run as choices in plain JSON say, if it is one that can."""
    if hasattr(model, "use_choices"):
        model.use_choices(choices_from_json(choices))


@dataclass(frozen=True)
class Circumstances:
    """The options and circumstances that the choice for a layer depends on.

    Attributes:
        asked: ``model.backend``.
        hidden_size: H.
        zoneout: Whether any state has it.
        layer_norm: Whether the projections are normalised.
        variational_dropout: Whether it is in use.
        step: What a compiled step depends on.
        padded: Whether the lengths of the batch differ.
        recording: Whether gates are being recorded.
        gradients: Whether the call is to be differentiated.
        steps: T of the call; None if not known.
        batch: B of the call; None if not known.
    """

    asked: Backend
    hidden_size: int
    zoneout: bool
    layer_norm: bool
    variational_dropout: bool
    step: Options
    padded: bool = False
    recording: bool = False
    gradients: bool = True
    steps: int | None = None
    batch: int | None = None

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
    if at.asked == "compiled":
        reason = unavailable_reason(cell, torch.device("cpu"), at.step)
        if reason:
            raise ConfigError(f"model.backend=compiled: {name}.step {reason}; use model.backend=auto")
    if at.asked == "native" and at.unknown_to_native:
        raise ConfigError(
            f"model.backend=native: torch's kernels know no {at.unknown_to_native}; use model.backend=auto"
        )
    if at.asked == "parallel" and at.layer_norm:
        raise ConfigError(
            "model.backend=parallel: layer_norm lets the units of a layer see each other; use model.backend=auto"
        )


def exact_candidates(cell: Any, weight: torch.Tensor, at: Circumstances) -> list[Candidate]:
    """Return the candidates that run here and compute the options in use exactly; see ``choose`` for the arguments.

    The step, compiled or as it is, is none beside torch's own kernels and a gradient written by hand: it is never the
    fastest.
    """
    names: list[str] = [at.asked]
    if at.recording:
        names = ["reference"]
    elif at.asked == "auto":
        names = [name for name in backends_of(cell) if not (name == "native" and at.unknown_to_native)]
        if "native" in names or "fused" in names:
            names = [name for name in names if name in ("native", "fused")]
        if "parallel" in names and at.layer_norm:
            names.remove("parallel")
        if "compiled" in names and unavailable_reason(cell, weight.device, at.step):
            names.remove("compiled")
    loops: tuple[Loops | None, ...] = (None,)
    if "fused" in names and takes_loops(cell):
        loops = functions.choose_loops(weight.device, weight.dtype)[0], IN_TORCH
    return [
        candidate
        for candidate in CANDIDATES
        if candidate.backend in names and (candidate.backend != "fused" or candidate.loops in loops)
    ]


def choose(cell: Any, weight: torch.Tensor, at: Circumstances, measured: Choice | None = None) -> tuple[Candidate, str]:
    """Return the way to run a layer, and the reason.

    Args:
        cell: Of the layer.
        weight: The bias of its gates (G,), for device and dtype.
        at: Options and circumstances.
        measured: The choice by measurement for such a call; it does not count where it is not exact, or cannot run.
    """
    if measured and any(candidate.label == measured.label for candidate in exact_candidates(cell, weight, at)):
        return BY_LABEL[measured.label], measured.reason
    return default(cell, weight, at)


def nearest(choices: tuple[Choice, ...], device: str, at: Circumstances) -> Choice | None:
    """Return the choice by measurement for a call: the nearest in steps and batch, None where none is near.

    Args:
        choices: Of the stack.
        device: Type of the device.
        at: Circumstances of the call; without steps and batch the choice for the largest.
    """
    found = [
        choice
        for choice in choices
        if (choice.device, choice.gradients, choice.padded) == (device, at.gradients, at.padded)
    ]
    if at.steps is None or at.batch is None:
        return max(found, key=lambda choice: choice.steps * choice.batch, default=None)
    near = [(_distance(choice.steps, at.steps), _distance(choice.batch, at.batch), choice) for choice in found]
    near = [one for one in near if max(one[:2]) <= NEAR]
    return min(near, key=lambda one: one[0] + one[1], default=(0, 0, None))[2]


def default(cell: Any, weight: torch.Tensor, at: Circumstances) -> tuple[Candidate, str]:
    """Return the way to run a layer where nothing was measured, and the reason; see ``choose`` for the arguments."""
    name, has = type(cell).__name__, backends_of(cell)
    if at.recording:
        return BY_LABEL["reference"], "gates are being recorded"
    if at.asked != "auto":
        return _with_loops(at.asked, cell, weight, at), f"asked for by model.backend={at.asked}"
    unknown = at.unknown_to_native
    lstm = getattr(cell, "native", torch.lstm) is torch.lstm  # and the cells that torch has no kernel for
    if at.steps == 1 and not at.gradients and weight.device.type == "cpu" and lstm:
        return BY_LABEL["reference"], "a single step has no loop to prepare"
    if "native" in has and not unknown:
        slower_when = ""
        if "fused" in has and weight.device.type == "cpu":
            slower_when = _native_slower_reason(cell, weight, at)
        if slower_when:
            reason = f"on a CPU torch's kernel for {name} is slower {slower_when}"
            return _with_loops("fused", cell, weight, at), reason
        return BY_LABEL["native"], f"torch's own kernels compute {name} exactly"
    reason = f"torch's kernels know no {unknown}" if "native" in has else f"torch has no kernel for {name}"
    if "fused" in has:
        return _with_loops("fused", cell, weight, at), f"{reason}, but its gradient is written by hand"
    return BY_LABEL["reference"], f"{reason}, so its step runs"


def choose_in_words(
    layer: int, cell: Any, weight: torch.Tensor, at: Circumstances, measured: Choice | None = None
) -> LayerBackend:
    """Return the same as ``choose``, the reason with where a loop runs, and what could be faster than a step."""
    candidate, reason = choose(cell, weight, at, measured)
    if candidate.backend == "reference" and at.asked == "auto" and not at.recording and not reason.startswith(MEASURED):
        reason += _beside_the_step(cell, weight, at)
    if candidate.backend == "compiled":
        where = f"compiled from C for this step ({fingerprint(cell, at.step)})"
        return LayerBackend(layer, candidate.backend, f"{reason}; its loop runs {where}", where)
    if candidate.loops is None:
        return LayerBackend(layer, candidate.backend, reason)
    usual, words = functions.choose_loops(weight.device, weight.dtype)
    if usual is not candidate.loops:
        words = candidate.loops.description
    return LayerBackend(layer, candidate.backend, f"{reason}; its loop runs {words}", words)


def _beside_the_step(cell: Any, weight: torch.Tensor, at: Circumstances) -> str:
    """Return which backends may be faster than the step, or why it cannot be compiled, going on from a reason."""
    others = [f"model.backend={one.label}" for one in exact_candidates(cell, weight, at) if one.label != "reference"]
    why = unavailable_reason(cell, weight.device, at.step)
    faster = f"; {' or '.join(others)} may be faster, which a training measures" if others else ""
    return faster + (f"; {type(cell).__name__}.step {why}" if why else "")


def _with_loops(backend: str, cell: Any, weight: torch.Tensor, at: Circumstances) -> Candidate:
    """Return the candidate of a backend, of the fused one that with the loops which run on this device."""
    if backend != "fused" or not takes_loops(cell):
        return BY_LABEL[backend]
    loops, _ = functions.choose_loops(weight.device, weight.dtype)
    if loops is IN_C and at.steps is not None and at.batch is not None:
        weights = len(cell.gates) * at.hidden_size**2 * weight.element_size()  # bytes, packed before the first step
        loops = IN_TORCH if weights > 2**20 and (at.steps < 16 or at.batch < 4) else IN_C
    return Candidate(backend, loops)


def _native_slower_reason(cell: Any, weight: torch.Tensor, at: Circumstances) -> str:
    """Return when torch's kernel is slower than the fused backend on a CPU, if it is (benchmarks/cells.py)."""
    if cell.native is torch.lstm:
        if at.padded:
            return "when lengths differ"
        in_c = at.gradients and at.hidden_size <= 256 and not IN_C.unavailable_reason(weight.device, weight.dtype)
        return "in training up to 256 units" if in_c else ""
    if at.gradients:
        return "in training"
    return "" if IN_C.unavailable_reason(weight.device, weight.dtype) else "without gradients"


def _distance(one: int, other: int) -> int:
    """Return how many powers of two lie between two sizes."""
    return abs(one.bit_length() - other.bit_length())


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
