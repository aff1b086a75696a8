"""Measurement of the backends that could run a stack: which is the fastest here, for tensors of this size."""

# B batch, T time, I input, O output; a state is one (D, B, H) per name

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqkit.models.backends.choose import Candidate, Choice, Circumstances, choose, exact_candidates
from seqkit.models.backends.reference import StepError
from seqkit.models.backends.timings import Timings
from seqkit.models.cell import left_unchanged
from seqkit.rng import get_rng, set_rng

LOG = logging.getLogger("seqkit")
SHARES = {True: 1.2, False: 0.5}  # seconds for the measurement with gradients, as in training, and without
LEAST, MOST = 2, 9  # rounds
PROBE, GROWTH = 2, 8  # steps of the first calls, and by how much there may be more in the next
HOPELESS = 2.0  # times as slow as the fastest: not measured further
MARGIN = 0.05  # by how much a candidate must beat the default, in every round but one of five

Call = Callable[[int], None]
"""Computes a number of steps."""
Clock = Callable[[], float]
"""Seconds."""


def measure(
    model: Any,
    x_BTI: Tensor,
    lengths_B: Tensor | None = None,
    timings: Timings | None = None,
    clock: Clock = time.perf_counter,
) -> tuple[Choice, ...]:
    """Return the choice of the backend in training and in evaluation, for calls of this size.

    The first layer stands for all: the others differ in the input projection only, which no backend spares. What
    ``timings`` has is not measured again. There is no choice where only one backend computes the options exactly, or
    where the machine is too busy to tell.

    Args:
        model: A ``Recurrent``.
        x_BTI: Its input. A gradient is taken for it if it requires one.
        lengths_B: Valid steps of each row, None where all are.
        timings: Where times are kept; None takes those of this machine.
        clock: Tells the time.
    """
    timings = Timings() if timings is None else timings
    batch, steps, _ = x_BTI.shape
    cell, weight = model.layers[0][0].cell, model.layers[0][0].bias_ih
    choices = []
    for gradients, share in SHARES.items():
        at = model.circumstances(lengths_B is not None, gradients, steps, batch)
        candidates = exact_candidates(cell, weight, at)
        if len(candidates) < 2:
            continue
        default = choose(cell, weight, at)[0].label
        work = _work(model, x_BTI, at, candidates, default)
        if not (known := timings.get(work)):
            with _as_it_was(model, gradients):
                calls = _calls(model, candidates, x_BTI, lengths_B, gradients)
                rounds = race(calls, default, steps, share, clock)
            if not rounds:
                LOG.info(
                    "no time to measure which backend is the fastest, so the default is taken: this machine is busy"
                )
                continue
            if len(rounds[0]) < 2:
                continue
            known = fastest(rounds, default), _least(rounds)
            timings.add(work, *known)
        choices.append(Choice(gradients, at.padded, x_BTI.device.type, steps, batch, *known))
    return tuple(choices)


def race(
    calls: Mapping[str, Call], default: str, steps: int, budget: float, clock: Clock = time.perf_counter
) -> list[dict[str, float]]:
    """Return rounds in which the candidates take turns: the seconds of a call by each; none if there is no time.

    Calls begin with a few steps, and have more as ``budget`` allows: all if possible; if not, the time is multiplied. A
    candidate that the first round shows to be hopeless has the time of that in every round; one that gives up in any
    call (``StepError``) is in none.

    Args:
        calls: By name.
        default: Is measured, however slow.
        steps: Of a call.
        budget: Seconds for everything after a first call of each, of few steps; one call more at the most.
        clock: Tells the time.
    """
    names, size = list(calls), min(steps, PROBE)
    rounds: list[dict[str, float]] = []
    given_up: set[str] = set()

    def one_round(needed: bool) -> dict[str, float]:
        found = {}
        for name in names[:: 1 if len(rounds) % 2 else -1]:
            if needed and clock() >= deadline:
                return {}
            try:
                found[name] = _seconds(calls[name], size, clock)
            except StepError:
                names.remove(name)
                given_up.add(name)
        return found

    one_round(False)  # warms up, where a first call imports or compiles what it needs
    deadline = clock() + budget
    while first := one_round(True):
        fitting = (deadline - clock()) / (LEAST * sum(first.values())) if any(first.values()) else float("inf")
        more = min(steps, int(size * min(fitting, GROWTH)))
        if more <= size:
            break
        size = more
    if not first:
        return []
    names = [name for name in names if name == default or first[name] <= HOPELESS * min(first.values())]
    rounds, took = [first], 0.0
    while len(rounds) < MOST and (len(rounds) < LEAST or clock() + took <= deadline):
        begun = clock()
        found = one_round(len(rounds) < LEAST)
        if not found:
            return []
        rounds.append({**first, **found})
        took = clock() - begun
    return [{name: seconds * steps / size for name, seconds in own.items() if name not in given_up} for own in rounds]


def fastest(rounds: list[dict[str, float]], default: str) -> str:
    """Return the candidate with the least time if it is clearly faster than the default, else that."""
    least = _least(rounds)
    best = min(least, key=least.__getitem__)
    clear = [one[best] < (1 - MARGIN) * one[default] for one in rounds]
    return best if clear.count(False) <= len(rounds) // 5 else default


def _least(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the least time of each candidate, which other work on the machine has disturbed the least."""
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def _seconds(call: Call, steps: int, clock: Clock) -> float:
    started = clock()
    call(steps)
    return clock() - started


def _calls(
    model: Any, candidates: list[Candidate], x_BTI: Tensor, lengths_B: Tensor | None, gradients: bool
) -> dict[str, Call]:
    """Return a call of the first layer by each candidate, with its backward pass if there are gradients."""
    layer = model.layers[0]
    mixed = gradients and torch.is_autocast_enabled(x_BTI.device.type)  # evaluation is in full precision
    x_TBI = x_BTI.detach().transpose(0, 1).requires_grad_(x_BTI.requires_grad and gradients)
    x_TBI = x_TBI if mixed else x_TBI.to(layer[0].bias_ih.dtype)
    state = tuple(part[: model.directions].detach() for part in model.initial_state(len(x_BTI)))
    wanted = [tensor for tensor in (*layer.parameters(), x_TBI) if tensor.requires_grad]

    def run(candidate: Candidate, steps: int) -> None:
        lengths = None if lengths_B is None else lengths_B.clamp(max=steps)
        with torch.set_grad_enabled(gradients), torch.autocast(x_TBI.device.type, enabled=mixed):
            y_TBO, _ = layer(model.run_layer, candidate, x_TBI[:steps], lengths, state, True)
        if y_TBO.requires_grad:
            torch.autograd.grad(y_TBO, wanted, torch.ones_like(y_TBO), allow_unused=True)
        if y_TBO.is_cuda:
            torch.cuda.synchronize(y_TBO.device)

    return {candidate.label: partial(run, candidate) for candidate in candidates}


@contextmanager
def _as_it_was(model: Any, training: bool) -> Iterator[None]:
    """Put a stack into training or evaluation mode; afterwards modes, cells and random generators are as before."""
    modes = [(module, module.training) for module in model.modules()]
    generators = get_rng()
    with ExitStack() as restored:
        for direction in model.layers[0]:
            restored.enter_context(left_unchanged(direction.cell))
        try:
            model.train(training)
            yield
        finally:
            set_rng(generators)
    for module, mode in modes:
        module.training = mode


def _work(model: Any, x_BTI: Tensor, at: Circumstances, candidates: list[Candidate], default: str) -> str:
    """Return what is measured in words: where this is the same, the same is taken to be the fastest."""
    direction, device = model.layers[0][0], x_BTI.device
    cell, dtype = type(direction.cell), str(direction.bias_ih.dtype).removeprefix("torch.")
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    projection = 0 if direction.weight_hr is None else len(direction.weight_hr)
    options = {
        "both directions": model.directions == 2,
        "padded": at.padded,
        "with a gradient of the input": at.gradients and x_BTI.requires_grad,
        "layer norm": at.layer_norm,
        "zoneout": at.zoneout,
        "variational dropout": at.variational_dropout,
        "weight dropout": bool(model.weight_dropout) and at.gradients,
        f"projected to {projection}": projection > 0,
        "autocast": at.gradients and torch.is_autocast_enabled(device.type),
    }
    return ", ".join(
        [
            f"{cell.__module__}.{cell.__qualname__} {model.input_size} to {model.hidden_size}",
            f"{_rounded(at.steps)} steps of batch {_rounded(at.batch)}",
            f"{dtype} on {place}",
            f"{torch.get_num_threads()} threads",
            "training" if at.gradients else "evaluation",
            *(name for name, on in options.items() if on),
            f"{' or '.join(candidate.label for candidate in candidates)}: by default {default}",
        ]
    )


def _rounded(size: int | None) -> int:
    """Return the largest power of two that is not greater, 0 for none."""
    return 1 << (size.bit_length() - 1) if size else 0
