"""Measurement of the backends that could run a stack: which is the fastest here, for tensors of this size."""

# B batch, T time, I input, O output; a state is one (D, B, H) per name

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor

from seqkit.models.backends.choose import Candidate, Choice, Circumstances, choose, exact_candidates
from seqkit.models.backends.timings import Timings
from seqkit.models.cell import left_unchanged
from seqkit.rng import get_rng, set_rng

LOG = logging.getLogger("seqkit")
SHARES = {True: 1.0, False: 0.5}  # seconds for the measurement with gradients, as in training, and without
LEAST, MOST = 2, 9  # rounds
PROBE = 2  # steps of the calls that warm up and tell how long a round would take
HOPELESS = 1.5  # times as slow as the fastest in the probe: not measured further
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
                LOG.info("this machine is too busy to measure which backend is the fastest: the default is taken")
                continue
            seconds = {label: median(one[label] for one in rounds) for label in rounds[0]}
            known = fastest(rounds, default), seconds
            timings.add(work, *known)
        choices.append(Choice(gradients, at.padded, x_BTI.device.type, steps, batch, *known))
    return tuple(choices)


def race(
    calls: Mapping[str, Call], default: str, steps: int, budget: float, clock: Clock = time.perf_counter
) -> list[dict[str, float]]:
    """Return rounds in which the candidates take turns: the seconds of a call by each; none if there is no time.

    Where ``budget`` would not do there are fewer rounds, and calls of fewer steps whose time is then multiplied. A
    candidate that a first look shows to be hopeless has the time of that look in every round.

    Args:
        calls: By name.
        default: Is measured, however slow.
        steps: Of a call.
        budget: Seconds for everything; one call more at the most.
        clock: Tells the time.
    """
    deadline = clock() + budget
    few = min(steps, PROBE)
    probe = {}
    for name, call in calls.items():
        call(few)
        if clock() >= deadline:
            return []
        probe[name] = _seconds(call, few, clock)
    limit = HOPELESS * min(probe.values())
    names = [name for name, time in probe.items() if name == default or time <= limit]
    left, per_round = deadline - clock(), sum(probe[name] for name in names)
    possible = left / (LEAST * per_round) if per_round else float("inf")
    if possible < 1:
        return []
    timed = int(min(steps, possible * few))
    rounds: list[dict[str, float]] = []
    while len(rounds) < MOST and (len(rounds) < LEAST or clock() < deadline):
        found = dict(probe)
        for name in names[:: 1 if len(rounds) % 2 else -1]:
            if len(rounds) < LEAST and clock() >= deadline:
                return []
            found[name] = _seconds(calls[name], timed, clock)
        rounds.append({name: time * steps / (timed if name in names else few) for name, time in found.items()})
    return rounds


def fastest(rounds: list[dict[str, float]], default: str) -> str:
    """Return the candidate that is the fastest on the median if it is clearly faster than the default, else that."""
    best = min(rounds[0], key=lambda name: median(one[name] for one in rounds))
    clear = [one[best] < (1 - MARGIN) * one[default] for one in rounds]
    return best if clear.count(False) <= len(rounds) // 5 else default


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
            y_TBO, _ = layer(model.run_layer, candidate, x_TBI[:steps], lengths, state)
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
