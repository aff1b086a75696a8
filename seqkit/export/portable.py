"""A network in evaluation mode as torch.export can follow it: tensors in and out, no Python loop over time."""

# B batch, T time, I input of a layer, H hidden, P projected hidden (H without a projection), D directions (1 or 2)
# G all gates of the cell together (their number times H)

import copy
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch, State
from seqkit.models.cells.cifg_lstm import CIFGLSTM
from seqkit.models.cells.elman import Elman
from seqkit.models.cells.gru import GRU
from seqkit.models.cells.lstm import LSTM
from seqkit.models.cells.peephole_lstm import PeepholeLSTM
from seqkit.models.direction import Direction
from seqkit.models.regularisation import apply_zoneout
from seqkit.models.stack import Recurrent
from seqkit.network import Network
from seqkit.padding import beside

Format = Literal["onnx", "torch"]

# Cell -> operator of ONNX, the cell's gates in the operator's order (- for the negated one), the operator's attributes.
# CIFG's input gate 1 - sigmoid(a) is sigmoid(-a), so a plain LSTM computes it; not every runtime knows input_forget.
OPERATORS: dict[type, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    LSTM: ("LSTM", ("input", "output", "forget", "cell"), {}),
    PeepholeLSTM: ("LSTM", ("input", "output", "forget", "cell"), {}),
    CIFGLSTM: ("LSTM", ("-forget", "output", "forget", "cell"), {}),
    GRU: ("GRU", ("update", "reset", "candidate"), {"linear_before_reset": 1}),
    Elman: ("RNN", ("hidden",), {}),
}


class Portable(nn.Module):
    """The whole path from inputs to the head's outputs.

    Args:
        network: In evaluation mode; its parts are used as they are, but for the recurrent stacks in its model.
        format: Whether a layer may become an operator of ONNX.

    Attributes:
        written: How the model is written, layer by layer where it is a recurrent stack.
    """

    def __init__(self, network: Network, format: Format) -> None:
        super().__init__()
        self.frontend = network.frontend
        self.head = network.head
        self.extras = list(extras_of(network))
        self.model = _portable(network.model, format)
        whole = [f"{type(network.model).__name__}, captured as it is"]
        self.written = self.model.written if isinstance(self.model, Stack) else whole

    def forward(self, inputs: Tensor, lengths_B: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Return the head's outputs, the valid steps of each row that they were computed from, and the final state.

        Args:
            inputs: As in ``Batch``.
            lengths_B: Valid steps of each row of ``inputs``.
            others: What the head reads of the batch's extras, in the order of its ``extras``; and the state before the
                first step: tensors of the model, none for a model that carries no state.
        """
        count = len(self.extras)
        extras, state = dict(zip(self.extras, others[:count], strict=True)), others[count:]
        x_BTI, steps_B = self.frontend(inputs, lengths_B)
        y_BTO, after = self.model(x_BTI, steps_B, state or None)
        return self.head(y_BTO, steps_B, Batch(inputs, lengths_B, extras=extras)), steps_B.clone(), *after


def extras_of(network: Network) -> dict[str, str]:
    """Return what the head reads of a batch's extras: a description of each by its name."""
    return getattr(network.head, "extras", {})


def _portable(model: nn.Module, format: Format) -> nn.Module:
    """Return the model with every recurrent stack, itself or one inside it, without a loop over time."""
    if isinstance(model, Recurrent):
        return Stack(model, format)
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, Recurrent):
            model.set_submodule(name, Stack(module, format))
    return model.eval()


class Stack(nn.Module):
    """A recurrent stack, called as ``Recurrent`` is.

    Args:
        model: In evaluation mode.
        format: Whether a layer may become an operator of ONNX.
    """

    def __init__(self, model: Recurrent, format: Format) -> None:
        super().__init__()
        self.residual = model.residual
        self.directions = model.directions
        self.initial_state = model.initial_state
        expressible = format == "onnx" and not model.layer_norm and not any(model.zoneout)
        self.layers = nn.ModuleList(
            Operator(layer) if expressible and type(layer[0].cell) in OPERATORS else Steps(layer, model.zoneout)
            for layer in cast(Any, model.layers)
        )

    @property
    def written(self) -> list[str]:
        """How each layer is written."""
        return [layer.written for layer in cast(Any, self.layers)]

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return y_BTO and the state after each row's last valid step, as ``Recurrent`` does."""
        if lengths_B is None:
            lengths_B = torch.full((x_BTI.shape[0],), x_BTI.shape[1])
        if state is None:
            state = tuple(part.clone(memory_format=torch.contiguous_format) for part in self.initial_state(len(x_BTI)))
        x_TBI = _time_and_batch_swapped(x_BTI)
        valid_TB1 = (torch.arange(x_TBI.shape[0])[:, None] < lengths_B)[:, :, None]
        x_TBI = torch.where(valid_TB1, x_TBI, 0.0)
        after = []
        for number, layer in enumerate(self.layers):
            rows = slice(number * self.directions, (number + 1) * self.directions)
            y_TBO, new = layer(x_TBI, valid_TB1, lengths_B, tuple(part[rows] for part in state))
            y_TBO = torch.where(valid_TB1, y_TBO, 0.0)
            x_TBI = y_TBO + x_TBI if self.residual and number > 0 else y_TBO
            after.append(new)
        return _time_and_batch_swapped(x_TBI), tuple(torch.cat(parts) for parts in zip(*after, strict=True))


class Operator(nn.Module):
    """A layer as one LSTM, GRU or RNN operator of ONNX, all directions at once.

    https://onnx.ai/onnx/operators/onnx__LSTM.html says what its inputs are.

    Args:
        layer: Its directions.
    """

    W: Tensor  # as the operator's documentation calls them
    R: Tensor
    B: Tensor
    P: Tensor | None

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.name, gates, attributes = OPERATORS[type(layer[0].cell)]
        self.hidden_size = layer[0].weight_hh.shape[0] // len(layer[0].cell.gates)
        direction = "bidirectional" if len(layer) == 2 else "forward"
        self.attributes = {"hidden_size": self.hidden_size, "direction": direction, **attributes}
        every = [[_rows(one, gates, weight) for weight in one.projections(0.0).weights] for one in layer]
        self.register_buffer("W", torch.stack([weights[0] for weights in every]))
        self.register_buffer("R", torch.stack([weights[1] for weights in every]))
        self.register_buffer("B", torch.stack([torch.cat(weights[2:]) for weights in every]))
        peepholes = [
            direction.cell.peephole[[0, 2, 1]].flatten() for direction in layer if type(direction.cell) is PeepholeLSTM
        ]
        self.register_buffer("P", torch.stack(peepholes) if peepholes else None)

    @property
    def written(self) -> str:
        """How the layer is written."""
        return f"ONNX's {self.name}"

    def forward(self, x_TBI: Tensor, valid_TB1: Tensor, lengths_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output (T, B, D*P) and the state (D, B, H) after the last valid steps."""
        T, B = x_TBI.shape[:2]
        D, H = len(self.layer), self.hidden_size
        inputs = (x_TBI, self.W, self.R, self.B, lengths_B.to(torch.int32), *state)
        y_TDBH, *after = torch.onnx.ops.symbolic_multi_out(
            self.name,
            inputs if self.P is None else (*inputs, self.P),
            attrs=self.attributes,
            dtypes=[x_TBI.dtype] * (1 + len(state)),
            shapes=[(T, D, B, H)] + [(D, B, H)] * len(state),
        )
        outputs = [direction.project(y_TBH) for direction, y_TBH in zip(self.layer, y_TDBH.unbind(1), strict=True)]
        some_B1 = (lengths_B > 0)[:, None]  # onnxruntime gives an empty row a state of zeros
        return torch.cat(outputs, 2), tuple(torch.where(some_B1, *parts) for parts in zip(after, state, strict=True))


class Steps(nn.Module):
    """A layer as a scan over the cell's ``step``, the input projection before it unless the step makes that itself.

    Args:
        layer: Its directions.
        zoneout: Zoneout probability of each state.
    """

    def __init__(self, layer: Any, zoneout: tuple[float, ...]) -> None:
        super().__init__()
        self.layer = layer
        self.zoneout = tuple(share or None for share in zoneout)

    @property
    def written(self) -> str:
        """How the layer is written."""
        return f"a scan over {type(self.layer[0].cell).__name__}.step"

    def forward(self, x_TBI: Tensor, valid_TB1: Tensor, lengths_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output (T, B, D*P) and the state (D, B, H, or a shape of its own) after the last valid steps."""
        outputs, ends = [], []
        for number, direction in enumerate(self.layer):
            start = tuple(part[number] for part in state)
            y_TBH, end = self._scan(direction, x_TBI, valid_TB1, start, number == 1)
            outputs.append(direction.project(y_TBH))
            ends.append(end)
        return torch.cat(outputs, 2), tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    def _scan(self, direction: Direction, x_TBI: Tensor, valid_TB1: Tensor, start: State, reverse: bool) -> Any:
        from torch._higher_order_ops.scan import scan

        projections = direction.projections(0.0)

        def step(state, inputs):  # torch.export does not follow annotations here
            x, valid_B1 = inputs
            new = direction.cell.step(x, *projections.step_products(1), state)
            new = tuple(
                apply_zoneout(share, 0, part, old) for share, part, old in zip(self.zoneout, new, state, strict=True)
            )
            # The state waits in the padding; backwards that comes first, so each row starts at its own end.
            new = tuple(
                torch.where(beside(valid_B1[:, 0], part), part, old) for part, old in zip(new, state, strict=True)
            )
            return new, new[0].clone()

        end, y_TBH = scan(step, start, (projections.step_inputs(x_TBI), valid_TB1), reverse=reverse)
        return y_TBH, end


def _time_and_batch_swapped(x: Tensor) -> Tensor:
    """Transpose, with the memory in order: else torch.export asks later whether it is, and for that if B is 1."""
    return x.transpose(0, 1).clone(memory_format=torch.contiguous_format)


def _rows(direction: Direction, gates: tuple[str, ...], weight: Tensor) -> Tensor:
    """Return the rows of ``weight`` for the gates in this order, negated where their name has a minus."""
    own = direction.cell.gates
    parts = weight.detach().chunk(len(own))
    return torch.cat([-parts[own.index(gate[1:])] if gate[0] == "-" else parts[own.index(gate)] for gate in gates])
