"""The recurrent stack: layers, directions, padding, carried state and every regulariser, once for every cell."""

# B batch, T time, I input, H hidden, P projected hidden (H without a projection), L layers
# D directions (1 or 2), O = D*P output

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit import schema
from seqkit.contracts.batch import State
from seqkit.errors import ConfigError, PluginError
from seqkit.models import regularisation as zoneout
from seqkit.models.backends import native as library
from seqkit.models.backends.fused import c_loops as compiled
from seqkit.models.backends.fused.functions import loops_for
from seqkit.models.backends.reference import stepwise
from seqkit.models.cell import Direction, loops_of
from seqkit.models.lengths import after_last, reverse
from seqkit.models.projections import Halves

if TYPE_CHECKING:
    from seqkit.models.record import Recorder


class LayerLoop(NamedTuple):
    """Which loop runs a layer (counted from 0), and why it and not another."""

    layer: int
    name: str
    why: str


class Recurrent(nn.Module):
    """Recurrent layers over a padded batch of sequences.

    Args:
        cell: Class of the cell, or a function that makes one from the hidden size.
        input_size: Features of each step of the input.
        hidden_size: Size of the hidden state of each layer and direction.
        num_layers: Layers on top of each other.
        bidirectional: Also run over each sequence from its end, and join both outputs; no longer causal.
        projection_size: Size that the hidden state is projected to for the output and the recurrent product (LSTMP,
            Sak et al. 2014); null for no projection.
        residual: Add the input of each layer from the second on to its output.
        dropout: Probability that a feature between two layers is zeroed in a training step, anew at every step.
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
        loop: How the steps run: kernel (torch's own), fused (hand-written gradient), loop (the plain equations); auto
            takes the fastest that is exact for these options.
        compile: Run the plain loop with its step compiled by torch.compile, which needs a C++ compiler on a CPU.

    Attributes:
        output_size: Features of each step of the output.
        causal: Whether an output depends on its own and earlier steps only.

    Raises:
        ConfigError: The cell has no such loop, or options exclude each other.
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
        variational_dropout: schema.Probability = 0.0,
        weight_dropout: schema.Probability = 0.0,
        zoneout: schema.Probability = 0.0,
        zoneout_cell: schema.Probability | None = None,
        layer_norm: bool = False,
        learned_state: bool = False,
        forget_bias: float | None = None,
        recurrent_init: Literal["uniform", "orthogonal"] = "uniform",
        loop: Literal["auto", "kernel", "fused", "loop"] = "auto",
        compile: bool = False,
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
        self.variational_dropout = variational_dropout
        self.weight_dropout = weight_dropout
        self.layers = nn.ModuleList(
            nn.ModuleList(
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
        self.loop = loop
        self.compile_step = compile
        self.recorder: Recorder | None = None  # set by record_gates
        first = self._first().cell
        others = zoneout if zoneout_cell is None else zoneout_cell
        self.zoneout = (zoneout, *[others] * (len(first.states) - 1))
        if zoneout_cell is not None and len(first.states) == 1:
            raise ConfigError(
                f"model.zoneout_cell={zoneout_cell}: {type(first).__name__} has no state but the hidden one; "
                "use model.zoneout"
            )
        if loop != "auto" and loop not in loops_of(first):
            raise ConfigError(f"model.loop={loop}: {type(first).__name__} has only {', '.join(loops_of(first))}")
        if compile and loop not in ("auto", "loop"):
            raise ConfigError(f"model.compile=true compiles the plain loop's step; model.loop={loop} does not run it")
        if loop == "kernel" and (unknown := self._unknown_to_kernels(training=True)):
            raise ConfigError(f"model.loop=kernel: torch's kernels know no {unknown}; use model.loop=auto")
        self._try_step()

    def loops(self, padded: bool = False, training: bool | None = None) -> list[LayerLoop]:
        """Return which loop runs each layer where the parameters are, and why.

        Args:
            padded: For a batch of sequences of different lengths.
            training: In training or not; None as it is now.
        """
        training = self.training if training is None else training
        found = []
        for number, layer in enumerate(self.layers):
            loop, why = self._choose(layer, padded, training)
            if loop == "fused":
                weight = self._first().weight_hh
                why += f"; its loop runs {loops_for(weight.device, weight.dtype, self.layer_norm)[1]}"
            found.append(LayerLoop(number, loop, why))
        return found

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, one (L*D, B, H) a state name: zero, or learned."""
        first = self._first()
        shape = (len(self.layers) * self.directions, batch_size, self.hidden_size)
        if first.initial is None:
            return tuple(first.weight_hh.new_zeros(shape) for _ in first.cell.states)
        directions: Any = [direction for layer in self.layers for direction in layer]  # type: ignore[attr-defined]
        every = torch.stack([direction.initial for direction in directions], 1)
        return tuple(part[:, None].expand(shape) for part in every.unbind(0))

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Args:
            x_BTI: Input; what stands in the padding does not matter.
            lengths_B: Valid steps of each row, None where all are.
            state: One (L*D, B, H) a state name of the cell, in the order of torch.nn: layer by layer, forward before
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
            if number > 0:
                x_TBI = F.dropout(x_TBI, self.dropout, self.training)
            rows = slice(number * self.directions, (number + 1) * self.directions)
            y_TBO, new = self._run(layer, x_TBI, lengths_B, tuple(part[rows] for part in state))
            if padding_TB1 is not None:
                y_TBO = y_TBO.masked_fill(padding_TB1, 0)
            x_TBI = y_TBO + x_TBI if self.residual and number > 0 else y_TBO
            after.append(new)
        return x_TBI.transpose(0, 1), tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def _first(self) -> Direction:
        return self.layers[0][0]  # type: ignore[index, return-value]

    def _start(self, x_BTI: Tensor, state: State | None) -> State:
        if x_BTI.dim() != 3 or x_BTI.shape[1] == 0 or x_BTI.shape[2] != self.input_size:
            raise ValueError(f"input is {tuple(x_BTI.shape)}, not (batch, 1 step or more, {self.input_size} features)")
        first = self._first()
        if x_BTI.dtype != first.weight_hh.dtype and not torch.is_autocast_enabled(x_BTI.device.type):
            raise ValueError(f"input is {x_BTI.dtype}; the model computes in {first.weight_hh.dtype}")
        if state is None:
            return self.initial_state(len(x_BTI))
        names = first.cell.states
        shape = (len(self.layers) * self.directions, len(x_BTI), self.hidden_size)
        if [part.shape for part in state] != [shape] * len(names):
            given = ", ".join(str(tuple(part.shape)) for part in state)
            raise ValueError(f"state is {given}; {' and '.join(names)} must be {shape}" + " each" * (len(names) > 1))
        return tuple(part.to(first.weight_hh.dtype) for part in state)  # autocast may have left it in half precision

    def _try_step(self) -> None:
        """Run one step of the cell, so that a fault in it shows before training.

        Raises:
            PluginError: It fails, or returns something else than the next state.
        """
        first = self._first()
        state = tuple(part[0].clone() for part in self.initial_state(2))
        halves, name = first.halves(0.0), type(first.cell).__name__
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                stepwise(first.cell, torch.zeros(1, 2, self.input_size), halves, [None] * len(state), state)
            except (PluginError, ConfigError):
                raise
            except Exception as error:
                trace = error.__traceback__
                while trace is not None and trace.tb_next and trace.tb_frame.f_code.co_name != "step":
                    trace = trace.tb_next
                where = f"{inspect.getsourcefile(type(first.cell))}:{trace.tb_lineno}" if trace else "?"
                reason = " ".join(str(error).split())
                raise PluginError(f"{name}.step fails ({where}): {type(error).__name__}: {reason}") from error
        for one, part, before in zip(first.cell.states, state, self.initial_state(2), strict=True):
            if not torch.equal(part, before[0]):
                raise PluginError(f"{name}.step changes the state '{one}' in place; it must return a new one")

    def _unknown_to_kernels(self, training: bool) -> str:
        """Return the options in use that torch's kernels cannot compute."""
        found = {
            "zoneout": any(self.zoneout),
            "layer_norm": self.layer_norm,
            "variational_dropout": self.variational_dropout > 0 and training,
        }
        return " or ".join(name for name, used in found.items() if used)

    def _choose(self, layer: Any, padded: bool, training: bool) -> tuple[str, str]:
        """Return the loop to run a layer by, and why."""
        cell, device = layer[0].cell, layer[0].weight_hh.device
        name, has = type(cell).__name__, loops_of(cell)
        if self.recorder is not None:
            return "loop", "gates are being recorded"
        if self.loop != "auto":
            return self.loop, f"asked for by model.loop={self.loop}"
        if self.compile_step:
            return "loop", "asked for by model.compile=true"
        unknown = self._unknown_to_kernels(training)
        if "kernel" in has and not unknown:
            slower = self._kernel_is_slower(cell, padded) if "fused" in has and device.type == "cpu" else ""
            if slower:
                return "fused", f"on a CPU torch's kernel for {name} is slower{slower}"
            return "kernel", f"torch's own kernels compute {name} exactly"
        why_not = f"torch's kernels know no {unknown}" if "kernel" in has else f"torch has no kernel for {name}"
        if "fused" in has:
            return "fused", f"{why_not}, but its gradient is written by hand"
        return "loop", f"{why_not}, and {name} has no faster loop than its step"

    def _kernel_is_slower(self, cell: Any, padded: bool) -> str:
        """Return when torch's kernel is slower than the fused loop on a CPU, if it is now: benchmarks/cells.py."""
        gradients, why_not_in_c = torch.is_grad_enabled(), partial(compiled.why_not, self._first().weight_hh.dtype)
        if cell.kernel is torch.lstm:
            if padded:
                return " when lengths differ"
            up_to_256 = gradients and self.hidden_size <= 256 and not why_not_in_c()
            return " in training up to 256 units" if up_to_256 else ""
        if gradients:
            return " in training"
        return "" if why_not_in_c() else " without gradients"

    def _run(self, layer: Any, x_TBI: Tensor, lengths_B: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Run one layer; ``state`` is one (D, B, H) a name."""
        loop, _ = self._choose(layer, lengths_B is not None, self.training)
        x_TBI, every = self._draw(layer, x_TBI)
        if loop == "kernel" and (lengths_B is None or x_TBI.is_cuda or len(state) > 1):
            weights = tuple(weight for halves in every for weight in halves.weights)
            outputs, after = library.run(layer[0].cell.kernel, x_TBI, lengths_B, weights, state)
        else:
            outputs, ends = [], []
            for number, (direction, halves) in enumerate(zip(layer, every, strict=True)):
                start = tuple(part[number] for part in state)
                x = reverse(x_TBI, lengths_B) if number == 1 else x_TBI
                states = self._over_time(loop, direction.cell, x, halves, start)
                if self.recorder is not None:
                    self.recorder.keep(direction, states, lengths_B)
                outputs.append(reverse(states[0], lengths_B) if number == 1 else states[0])
                ends.append([after_last(part, lengths_B, old) for part, old in zip(states, start, strict=True)])
            after = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
        outputs = [direction.project(y_TBH) for direction, y_TBH in zip(layer, outputs, strict=True)]
        return torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0], after

    def _draw(self, layer: Any, x_TBI: Tensor) -> tuple[Tensor, list[Halves]]:
        """Return the input and the halves of each direction of a layer, with the masks of this call."""
        drop = self.variational_dropout if self.training else 0.0
        if not drop:
            return x_TBI, [direction.halves(self.weight_dropout) for direction in layer]
        ones_BH = layer[0].weight_hh.new_ones(x_TBI.shape[1], self.hidden_size)
        every = [direction.halves(self.weight_dropout, F.dropout(ones_BH, drop)) for direction in layer]
        return x_TBI * F.dropout(torch.ones_like(x_TBI[0]), drop), every

    def _over_time(self, loop: str, cell: Any, x_TBI: Tensor, halves: Halves, state: State) -> tuple[Tensor, ...]:
        """Run one direction of a layer over padded steps too; return each state after every step (T, B, H)."""
        if loop == "kernel":
            return library.padded(cell.kernel, x_TBI, halves.weights, state)
        shape = (*x_TBI.shape[:2], self.hidden_size)
        kept = [zoneout.draw(share, shape, self.training, x_TBI.device) for share in self.zoneout]
        if loop == "fused":
            return cell.fused(x_TBI, halves, kept, state)
        if self.recorder is not None:
            return stepwise(self.recorder.watched(cell), x_TBI, halves, kept, state)
        return stepwise(cell, x_TBI, halves, kept, state, self.compile_step)


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
