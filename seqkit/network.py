"""Frontend, model and head as one torch module, put together from a plain config and a spec."""

# B batch, T time, I input size of the model, H its output size

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seqkit import registry, schema
from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError


class Network(nn.Module):
    """inputs -> frontend -> x_BTI -> model -> y_BTH -> head -> outputs, with recurrent state in and out."""

    frontend: Any  # each a Module that keeps its contract, which a type cannot say
    model: Any
    head: Any

    def __init__(self, frontend: nn.Module, model: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.frontend = frontend
        self.model = model
        self.head = head

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, Tensor | None, State]:
        """Return the head's outputs, the valid steps they were computed from, and the state after the batch."""
        x_BTI, lengths_B = self.frontend(batch.inputs, batch.lengths)
        y_BTH, state = self.model(x_BTI, lengths_B, state)
        return self.head(y_BTH, lengths_B, batch), lengths_B, state


def assemble(config: Mapping[str, Any], spec: DataSpec) -> Network:
    """Build the network that ``config`` names for data of ``spec``.

    A ``frontend`` or ``head`` of None in the config is chosen by the spec.

    Raises:
        ConfigError: The parts do not fit each other or the data.
    """
    frontend = registry.build("frontend", config["frontend"] or spec.inputs.frontend, spec)
    model = registry.build("model", config["model"], frontend.output_size)
    chosen = config["head"] or spec.task.head
    runtime: tuple[Any, ...] = (model.output_size, spec, model.causal)
    rows = getattr(frontend, "rows_per_sequence", 1)
    if rows > 1:
        name = chosen if isinstance(chosen, str) else chosen["name"]
        if "rows_per_sequence" not in schema.signature(registry.find("head", name).factory).parameters:
            raise ConfigError(f"the frontend makes {rows} rows of each sequence, which head={name} does not take")
        runtime = (*runtime, rows)
    return Network(frontend, model, registry.build("head", chosen, *runtime))


def device_of(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``gpu``."""
    if name == "gpu" and not torch.cuda.is_available():
        raise ConfigError("a GPU was asked for and none is available here; use auto or cpu")
    return torch.device("cuda" if name in ("auto", "gpu") and torch.cuda.is_available() else "cpu")


@contextmanager
def float32_eval(device: torch.device) -> Iterator[None]:
    """Compute in plain float32 on any device, whatever precision training uses."""
    with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def carry(state: State | None, batch: Batch, model: Any) -> State | None:
    """Return the state that ``batch`` starts from, detached: the last one's, but the model's own where a stream starts.

    Args:
        state: State after the batch before, each tensor (L, B, H); None at the start.
        batch: Its ``fresh_B`` says which rows continue. Rows of ``state`` beyond the batch have ended.
        model: A row that starts anew has its ``initial_state(B)``, to which gradients flow, or zero if it has none.
    """
    if state is None or batch.fresh_B is None:
        return None
    if state[0].shape[1] < len(batch):
        assert batch.fresh_B.all(), "a row continues one that was not in the batch before"
        return None
    old = tuple(part[:, : len(batch)].detach() for part in state)
    start = model.initial_state(len(batch)) if hasattr(model, "initial_state") else map(torch.zeros_like, old)
    return tuple(torch.where(batch.fresh_B[None, :, None], new, part) for new, part in zip(start, old, strict=True))


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of the network in a checkpoint of training."""
    prefix = "network."
    return {key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items()}
