"""The recurrent stack: layers, directions, padding, carried state and every regulariser, once for every cell."""

# B batch, T time, I input, H hidden, P projected hidden (H without a projection), L layers
# D directions (1 or 2), O = D*P output

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit import schema
from seqkit.contracts.batch import State
from seqkit.dropout import locked_dropout
from seqkit.errors import ConfigError
from seqkit.models.backends import native
from seqkit.models.backends.choose import (
    BY_LABEL,
    Backend,
    Candidate,
    Choice,
    Circumstances,
    LayerBackend,
    check_asked,
    choose,
    choose_in_words,
    nearest,
)
from seqkit.models.backends.compiled.loop import run_compiled
from seqkit.models.backends.compiled.trace import Options
from seqkit.models.backends.measure import measure
from seqkit.models.backends.parallel import run_parallel
from seqkit.models.backends.reference import StepError, run_reference
from seqkit.models.direction import Direction, refuse_idle
from seqkit.models.projections import Projections
from seqkit.models.regularisation import zoneout_mask
from seqkit.models.trial import try_step
from seqkit.padding import after_last, reverse

LOG = logging.getLogger("seqkit")
GIVING_UP = {"compiled": run_compiled, "parallel": run_parallel}
"""Backends that may find in a call that they cannot run a step."""


class Layer(nn.ModuleList):
    """The directions of one layer, whose weights are used inside its ``forward`` only.

    So FSDP can gather the weights of one layer at a time.
    """

    def forward(self, run: Callable[..., Any], *inputs: Any) -> Any:
        """Return ``run(self, *inputs)``."""
        return run(self, *inputs)


class Recurrent(nn.Module):
    """Recurrent layers over a padded batch of sequences.

    Args:
        cell: Class of the cell, or a function that makes one from the hidden size, or from input and hidden size.
        input_size: Features of each step of the input.
        hidden_size: Size of the hidden state of each layer and direction.
        num_layers: Layers on top of each other.
        bidirectional: Also run over each sequence from its end, and join both outputs; no longer causal.
        projection_size: Size that the hidden state is projected to for the output and the recurrent product (LSTMP,
            Sak et al. 2014); null for no projection.
        residual: Add the input of each layer from the second on to its output.
        dropout: Probability that a feature between two layers is zeroed in a training step, anew at every step.
        locked_dropout: Let dropout zero the same features at all steps of a sequence (Merity et al. 2018).
        variational_dropout: Probability that a feature of a layer's input, or a unit of the hidden state in the
            recurrent product, is zeroed for a whole sequence in training (Gal and Ghahramani 2016).
        weight_dropout: Probability that a recurrent weight is zeroed for a training step (DropConnect on U, as in
            Merity et al. 2018).
        zoneout: Probability that a unit of a state keeps its old value at a training step (Krueger et al. 2017); in
            evaluation the expected value is taken.
        zoneout_cell: The same for the states other than the hidden one; null for that of zoneout.
        layer_norm: Normalise W x and U h of each gate, with a learned gain (Ba et al. 2016).
        learned_state: Learn the state before the first step, which is zero otherwise.
        forget_bias: Bias of the forget gate at the start of training; null leaves it to the cell (1 in the LSTMs, so
            that gradients reach far back at once, Jozefowicz et al. 2015).
        recurrent_init: How recurrent weights are drawn: uniform as in torch.nn, or orthogonal for each gate (Saxe et
            al. 2014).
        backend: How the steps run: native (torch's own kernels), fused (hand-written gradient), compiled (the cell's
            step and its gradient, compiled from C), parallel (all steps at once, for a diagonal recurrence), reference
            (the step as it is); auto takes the fastest that is exact for these options.

    Attributes:
        output_size: Features of each step of the output.
        causal: Whether an output depends on its own and earlier steps only.

    Raises:
        ConfigError: The cell has no such backend, or options exclude each other.
        PluginError: The cell's step does not work.
    """

    def __init__(
        self,
        cell: Callable[..., nn.Module],
        input_size: int,
        *,
        hidden_size: PositiveInt = 256,
        num_layers: PositiveInt = 1,
        bidirectional: bool = False,
        projection_size: PositiveInt | None = None,
        residual: bool = False,
        dropout: schema.Probability = 0.0,
        locked_dropout: bool = False,
        variational_dropout: schema.Probability = 0.0,
        weight_dropout: schema.Probability = 0.0,
        zoneout: schema.Probability = 0.0,
        zoneout_cell: schema.Probability | None = None,
        layer_norm: bool = False,
        learned_state: bool = False,
        forget_bias: float | None = None,
        recurrent_init: Literal["uniform", "orthogonal"] = "uniform",
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        if projection_size is not None and projection_size >= hidden_size:
            raise ConfigError(
                f"model.projection_size={projection_size}: must be less than model.hidden_size={hidden_size}"
            )
        if layer_norm and hidden_size == 1:
            raise ConfigError("model.layer_norm=true: one hidden unit has nothing to be normalised over")
        self.directions = 2 if bidirectional else 1
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = self.directions * (projection_size or hidden_size)
        self.causal = not bidirectional
        self.residual = residual
        self.dropout = dropout
        self.locked_dropout = locked_dropout
        self.variational_dropout = variational_dropout
        self.weight_dropout = weight_dropout
        self.layers = nn.ModuleList(
            Layer(
                Direction(
                    cell,
                    size,
                    hidden_size,
                    projection_size=projection_size,
                    layer_norm=layer_norm,
                    learned_state=learned_state,
                    forget_bias=forget_bias,
                    recurrent_init=recurrent_init,
                )
                for _ in range(self.directions)
            )
            for size in [input_size] + [self.output_size] * (num_layers - 1)
        )
        self.layer_norm = layer_norm
        self.backend = backend
        self.recorder: Any = None  # set by record_gates
        self.choices: tuple[Choice, ...] = ()  # by measurement, set by use_choices
        self._chosen: dict[Any, str] = {}  # label of the candidate for calls of a kind, a cache
        self._said: set[str] = set()
        self.state_shapes = self._first().state_shapes
        first = self._first().cell
        others = zoneout if zoneout_cell is None else zoneout_cell
        self.zoneout = (zoneout, *[others] * (len(first.states) - 1))
        if zoneout_cell is not None and len(first.states) == 1:
            raise ConfigError(
                f"model.zoneout_cell={zoneout_cell}: {type(first).__name__} has no state but the hidden one; "
                "use model.zoneout"
            )
        if weight_dropout and not self._first().layout.recurrent:
            refuse_idle(first, "weight_dropout", weight_dropout, 0, "has no recurrent weights")
        check_asked(first, self.circumstances(False, True))
        try_step(self._first(), input_size)

    def backends(self, padded: bool = False, training: bool | None = None) -> list[LayerBackend]:
        """Return the backend that runs each layer where the parameters are, and the reason.

        Args:
            padded: For a batch of sequences of different lengths.
            training: In training, with gradients, or in evaluation; None as it is now.
        """
        at = self.circumstances(padded, training)
        found = []
        for number, layer in enumerate(self.layers):
            direction: Any = layer[0]  # type: ignore[index]
            weight = direction.bias_ih
            measured = nearest(self.choices, weight.device.type, at)
            found.append(choose_in_words(number, direction.cell, weight, at, measured))
        return found

    def use_choices(self, choices: Iterable[Choice]) -> None:
        """Run layers as ``choices`` say, where a call is about as large as the measured one."""
        self.choices = tuple(choices)
        self._chosen.clear()

    def measure_backends(self, x_BTI: Tensor, lengths_B: Tensor | None = None) -> tuple[Choice, ...]:
        """Measure which backend is the fastest for such an input, in training and in evaluation; use it from now on.

        It takes some two seconds, beside what a first call imports or compiles, and changes no weight, gradient, buffer
        or random generator.
        """
        self.use_choices(measure(self, x_BTI, lengths_B))
        return self.choices

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, one (L*D, B, H) per state name: zero, or learned.

        A state of another shape in the cell's ``state_shapes`` has that in the place of H, here and everywhere.
        """
        shapes = self._state_shapes(batch_size)
        first = self._first()
        if first.initial is None:
            like = first.bias_ih
            return tuple(torch.zeros(shape, dtype=like.dtype, device=like.device) for shape in shapes)
        learned = zip(*(layer(_learned_state) for layer in self.layers), strict=True)
        return tuple(torch.cat(rows)[:, None].expand(shape) for rows, shape in zip(learned, shapes, strict=True))

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Args:
            x_BTI: Input; what stands in the padding does not matter.
            lengths_B: Valid steps of each row, None where all are.
            state: One (L*D, B, H) per state name of the cell, in the order of torch.nn: layer by layer, forward before
                backward. None starts from ``initial_state``. With a projection it is the hidden state before that.

        Returns:
            y_BTO, the hidden state of the last layer, zero at padded steps; and the state after each row's last valid
            step (for the backward direction: its first step), in the same order.

        Raises:
            ValueError: A shape does not fit the model.
        """
        state = self._start(x_BTI, state)
        _check_lengths(lengths_B, x_BTI)
        x_TBI = x_BTI.transpose(0, 1)
        padding_TB1 = None
        if lengths_B is not None:
            steps_T1 = torch.arange(len(x_TBI), device=x_BTI.device)[:, None]
            padding_TB1 = (steps_T1 >= lengths_B)[:, :, None]
            x_TBI = x_TBI.masked_fill(padding_TB1, 0)  # it might hold NaN, which no later mask gets out of a gradient

        after = []
        for number, layer in enumerate(self.layers):
            if number > 0 and self.training:
                drop = partial(locked_dropout, time=0) if self.locked_dropout else F.dropout
                x_TBI = drop(x_TBI, self.dropout)
            rows = slice(number * self.directions, (number + 1) * self.directions)
            candidate = self._candidate(layer, x_TBI, lengths_B is not None)
            y_TBO, new = layer(self.run_layer, candidate, x_TBI, lengths_B, tuple(part[rows] for part in state))
            if padding_TB1 is not None:
                y_TBO = y_TBO.masked_fill(padding_TB1, 0)
            x_TBI = y_TBO + x_TBI if self.residual and number > 0 else y_TBO
            after.append(new)
        if len(after) == 1:
            return x_TBI.transpose(0, 1), after[0]
        return x_TBI.transpose(0, 1), tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def _first(self) -> Direction:
        return self.layers[0][0]  # type: ignore[index, return-value]

    def _start(self, x_BTI: Tensor, state: State | None) -> State:
        if x_BTI.dim() != 3 or x_BTI.shape[1] == 0 or x_BTI.shape[2] != self.input_size:
            raise ValueError(f"input is {tuple(x_BTI.shape)}, not (batch, 1 step or more, {self.input_size} features)")
        dtype = self._first().bias_ih.dtype
        if x_BTI.dtype != dtype and not torch.is_autocast_enabled(x_BTI.device.type):
            raise ValueError(f"input is {x_BTI.dtype}; the model computes in {dtype}")
        if state is None:
            return self.initial_state(x_BTI.shape[0])
        shapes = self._state_shapes(x_BTI.shape[0])
        if [part.shape for part in state] != shapes:
            given = ", ".join(str(tuple(part.shape)) for part in state)
            names = self._first().cell.states
            due = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
            raise ValueError(f"state is {given}, not {due}")
        # autocast may have left it in half precision
        return tuple(part if part.dtype == dtype else part.to(dtype) for part in state)

    def _state_shapes(self, batch_size: int) -> list[tuple[int, ...]]:
        """Return the shape of each state: (L*D, B, H), or with a shape of its own."""
        directions = len(self.layers) * self.directions
        return [(directions, batch_size, *shape) for shape in self.state_shapes]

    def circumstances(
        self, padded: bool, training: bool | None = None, steps: int | None = None, batch: int | None = None
    ) -> Circumstances:
        """Return what the choice of a backend depends on; ``training`` as in ``backends``."""
        in_training, gradients = (self.training, torch.is_grad_enabled()) if training is None else (training, training)
        return Circumstances(
            asked=self.backend,
            hidden_size=self.hidden_size,
            zoneout=any(self.zoneout),
            layer_norm=self.layer_norm,
            variational_dropout=self.variational_dropout > 0 and in_training,
            padded=padded,
            recording=self.recorder is not None,
            gradients=gradients,
            steps=steps,
            batch=batch,
            step=Options(
                self.hidden_size,
                self.layer_norm,
                self.variational_dropout > 0 and in_training,
                tuple((True if in_training else share) if share else None for share in self.zoneout),
                self._first().bias_ih.dtype,
            ),
        )

    def _candidate(self, layer: Any, x_TBI: Tensor, padded: bool) -> Candidate:
        """Return the way to run a call of a layer; it is the same for calls of the same powers of two."""
        weight, (steps, batch, _) = layer[0].bias_ih, x_TBI.shape
        options = self.backend, self.training, torch.is_grad_enabled(), self.recorder is None
        kind = padded, *options, weight.device, weight.dtype, steps.bit_length(), batch.bit_length()
        if kind not in self._chosen:
            at = self.circumstances(padded, None, steps, batch)
            measured = nearest(self.choices, weight.device.type, at)
            self._chosen[kind] = choose(layer[0].cell, weight, at, measured)[0].label
        return BY_LABEL[self._chosen[kind]]

    def run_layer(
        self,
        layer: Any,
        candidate: Candidate,
        x_TBI: Tensor,
        lengths_B: Tensor | None,
        state: State,
        strict: bool = False,
    ) -> tuple[Tensor, State]:
        """Run one layer.

        Args:
            layer: Its directions.
            candidate: The way to run it.
            x_TBI: Input.
            lengths_B: Valid steps of each row, None where all are.
            state: One (D, B, H) per name.
            strict: Whether to raise the candidate's ``StepError`` where it gives up; else the steps run one by one.
        """
        x_TBI, projections = self._draw(layer, x_TBI)
        if candidate.backend == "native" and (lengths_B is None or x_TBI.is_cuda or len(state) > 1):
            weights = tuple(weight for one in projections for weight in one.weights)
            outputs, after = native.run(layer[0].cell.native, x_TBI, lengths_B, weights, state)
        else:
            outputs, ends = [], []
            for number, (direction, own) in enumerate(zip(layer, projections, strict=True)):
                start = tuple(part[number] for part in state)
                x = reverse(x_TBI, lengths_B) if number == 1 else x_TBI
                states = self._over_time(candidate, direction.cell, x, own, start, strict)
                if self.recorder is not None:
                    self.recorder.keep(direction, states, lengths_B)
                outputs.append(reverse(states[0], lengths_B) if number == 1 else states[0])
                ends.append([after_last(part, lengths_B, old) for part, old in zip(states, start, strict=True)])
            after = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
        outputs = [direction.project(y_TBH) for direction, y_TBH in zip(layer, outputs, strict=True)]
        return torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0], after

    def _draw(self, layer: Any, x_TBI: Tensor) -> tuple[Tensor, list[Projections]]:
        """Return the input and the projections of each direction of a layer, with the dropout masks of this call."""
        drop = self.variational_dropout if self.training else 0.0
        if not drop:
            return x_TBI, [direction.projections(self.weight_dropout) for direction in layer]
        ones_BH = layer[0].bias_ih.new_ones(x_TBI.shape[1], self.hidden_size)
        projections = [direction.projections(self.weight_dropout, F.dropout(ones_BH, drop)) for direction in layer]
        return locked_dropout(x_TBI, drop, time=0), projections

    def _over_time(
        self, candidate: Candidate, cell: Any, x_TBI: Tensor, projections: Projections, state: State, strict: bool
    ) -> tuple[Tensor, ...]:
        """Run one direction of a layer over padded steps too; return each state after every step (T, B, H)."""
        if candidate.backend == "native":
            return native.padded(cell.native, x_TBI, projections.weights, state)
        masks = [
            zoneout_mask(share, (*x_TBI.shape[:2], *shape), self.training, x_TBI.device)
            for share, shape in zip(self.zoneout, self.state_shapes, strict=True)
        ]
        if candidate.backend == "fused":
            loops = () if candidate.loops is None else (candidate.loops,)
            return cell.fused(x_TBI, projections, masks, state, *loops)
        if candidate.backend in GIVING_UP:
            try:
                return GIVING_UP[candidate.backend](cell, x_TBI, projections, masks, state)
            except StepError as reason:
                if strict:
                    raise
                name = type(cell).__name__
                self._say_once(f"the {candidate.backend} backend: {name} {reason}; its steps run one by one")
        if self.recorder is not None:
            return run_reference(self.recorder.watched(cell), x_TBI, projections, masks, state)
        return run_reference(cell, x_TBI, projections, masks, state)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            LOG.warning(line)


def _learned_state(layer: Any) -> list[Tensor]:
    """Return the learned state of a layer's directions before the first step, one (D, H) per state name."""
    return [torch.stack(rows) for rows in zip(*(direction.initial_state() for direction in layer), strict=True)]


def _check_lengths(lengths_B: Tensor | None, x_BTI: Tensor) -> None:
    if lengths_B is None:
        return
    batch, steps, _ = x_BTI.shape
    due = f"lengths must be a tensor of {batch} whole numbers from 0 to {steps}"
    if not isinstance(lengths_B, Tensor) or lengths_B.shape != (batch,) or lengths_B.is_floating_point():
        raise ValueError(f"{due}, not {lengths_B}")
    # On a GPU a look at the values would wait for it.
    if lengths_B.device.type == "cpu" and batch and not 0 <= lengths_B.min() <= lengths_B.max() <= steps:
        raise ValueError(f"{due}, not {lengths_B.tolist()}")
