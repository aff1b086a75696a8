"""Frontend, model and head as one torch module, put together from a plain config and a spec."""

# B batch, T time, I input size of the model, H its output size

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from seqkit import registry, schema
from seqkit.contracts.batch import Batch, State
from seqkit.contracts.returned import check_frontend, check_model, check_outputs, check_steps
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, nearest

CHUNK_TOLERANCE = 1e-3  # of the largest number: far above rounding, far below what a forgotten chunk changes


class Network(nn.Module):
    """inputs -> frontend -> x_BTI -> model -> y_BTH -> head -> outputs, with recurrent state in and out.

    What the frontend and the model return is checked at the first call.

    Args:
        frontend: Keeps its contract, as the others do.
        model: Of any kind.
        head: Of the task.
        made_by: The components that made the first two, by kind, to be named where they are refused.
    """

    frontend: Any  # each a Module that keeps its contract, which a type cannot say
    model: Any
    head: Any

    def __init__(
        self,
        frontend: nn.Module,
        model: nn.Module,
        head: nn.Module,
        made_by: Mapping[str, registry.Component] | None = None,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.model = model
        self.head = head
        self.made_by = made_by or {}
        self._checked = False

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, Tensor | None, State]:
        """Return the head's outputs, the valid steps they were computed from, and the state after the batch.

        Raises:
            PluginError: The frontend or the model returns something else than its contract says.
        """
        steps = self.frontend(batch.inputs, batch.lengths)
        if not self._checked:
            with self._named("frontend"):
                check_steps(self.frontend, steps)
        x_BTI, lengths_B = steps
        answer = self.model(x_BTI, lengths_B, state)
        if not self._checked:
            with self._named("model"):
                check_outputs(self.model, answer, x_BTI)
            self._checked = True
        y_BTH, state = answer
        return self.head(y_BTH, lengths_B, batch), lengths_B, state

    def _named(self, kind: str) -> AbstractContextManager[None]:
        return registry.named(self.made_by[kind]) if kind in self.made_by else nullcontext()

    @torch.no_grad()
    def takes_chunks(self, spec: DataSpec) -> bool:
        """Whether chunks with the state carried give what the whole sequence gives, in evaluation mode.

        Tried on a random example. They do not where the model carries no state or the frontend needs more than a chunk.
        """
        inputs = example(self, spec)
        whole, _, state = self(Batch(inputs))
        if not self.model.causal or not state:
            return False
        outputs, carried = [], None
        for chunk in chunks(inputs):
            try:
                output, _, carried = self(Batch(chunk), carried)
            except (RuntimeError, ValueError, IndexError):  # too short for a part that needs several steps
                return False
            outputs.append(output)
        return agree(outputs, whole)


def assemble(config: Mapping[str, Any], spec: DataSpec) -> Network:
    """Build the network that ``config`` names for data of ``spec``.

    A ``frontend`` or ``head`` of None in the config is chosen by the spec. What ``freeze`` names needs no gradient.

    Raises:
        ConfigError: The parts do not fit each other or the data, or ``freeze`` names what is not there, or all of it.
        PluginError: The frontend or the model lacks what its contract asks for.
    """
    chosen = {
        "frontend": config["frontend"] or spec.inputs.frontend,
        "model": config["model"],
        "head": config["head"] or spec.task.head,
    }
    frontend = registry.build("frontend", chosen["frontend"], spec)
    made_by = {kind: registry.chosen(kind, own) for kind, own in chosen.items()}
    with registry.named(made_by["frontend"]):
        check_frontend(frontend)
    model = registry.build("model", chosen["model"], frontend.output_size)
    with registry.named(made_by["model"]):
        check_model(model)
    runtime: tuple[Any, ...] = (model.output_size, spec, model.causal)
    rows = getattr(frontend, "rows_per_sequence", 1)
    if rows > 1:
        head = made_by["head"]
        if "rows_per_sequence" not in schema.signature(head.factory).parameters:
            raise ConfigError(f"the frontend makes {rows} rows of each sequence, which head={head.name} does not take")
        runtime = (*runtime, rows)
    head = registry.build("head", chosen["head"], *runtime)
    if hasattr(head, "tie"):
        head.tie(frontend)
    network = Network(frontend, model, head, made_by)
    freeze(network, config.get("freeze", ()))
    return network


def freeze(network: nn.Module, names: Iterable[str]) -> None:
    """Let what is named need no gradient: modules and parameters by their names in the network.

    Raises:
        ConfigError: A name is not there or has no parameter, or nothing is left to train.
    """
    for name in names:
        named_parameters(network, name, "freeze")
    for name in names:
        for _, parameter in named_parameters(network, name, "freeze"):
            parameter.requires_grad_(False)
    if names and not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(f"freeze=[{','.join(names)}] leaves nothing to train")


def named_parameters(network: nn.Module, name: str, option: str) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters of a network that are in a module, or are a parameter, of this name.

    Raises:
        ConfigError: There is none; ``option`` is where it was named.
    """
    parameters = list(network.named_parameters(remove_duplicate=False))  # a tied one has several names
    found = [(own, value) for own, value in parameters if f"{own}.".startswith(f"{name}.")]
    if not found:
        known = {own.rsplit(".", depth)[0] for own, _ in parameters for depth in range(own.count(".") + 1)}
        raise ConfigError(f"{option}: no part '{name}' with parameters. {nearest(name, known)}Known: {_brief(known)}")
    return found


def _brief(names: Iterable[str]) -> str:
    """Return names of parts, of those with many dots the first few."""
    ordered = sorted(names, key=lambda name: (name.count("."), name))
    return ", ".join(ordered[:12]) + ", ..." * (len(ordered) > 12)


def device_of(name: str, number: int = 0) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``gpu``, of the GPUs here the one with this number."""
    if name == "gpu" and not torch.cuda.is_available():
        raise ConfigError("a GPU was asked for and none is available here; use auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise ConfigError(f"rank {number} of this machine has no GPU of its own: there are {torch.cuda.device_count()}")
    return torch.device("cuda", number) if number else torch.device("cuda")


def example(network: nn.Module, spec: DataSpec) -> Tensor:
    """Return a random sequence (1, T, ...) on the network's device."""
    inputs = spec.inputs.example(1, example_steps(spec), torch.Generator().manual_seed(0))
    return inputs.to(next(network.parameters()).device)


def example_steps(spec: DataSpec) -> int:
    """Return the length of an example that is long enough for the frontend and the task."""
    return max(spec.inputs.example_steps, getattr(spec.task, "lookback", None) or 0)


def chunks(inputs: Tensor) -> list[Tensor]:
    """Return a sequence (1, T, ...) in three chunks, the second as short as can be."""
    third = inputs.shape[1] // 3
    return list(inputs.tensor_split([third, third + 1], 1))


def agree(parts: list[Tensor], whole: Tensor) -> bool:
    """Whether the outputs for chunks are those for the whole sequence: joined in time, or the last of one without."""
    found = parts[-1] if parts[-1].shape == whole.shape else torch.cat(parts, 1)
    if found.shape != whole.shape:
        return False
    largest = float(whole.nan_to_num(0, 0, 0).abs().max())
    return torch.allclose(found, whole, rtol=0, atol=CHUNK_TOLERANCE * largest, equal_nan=True)


def carry(state: State | None, batch: Batch, model: Any) -> State | None:
    """Return the state that ``batch`` starts from, detached: the last one's, but the model's own where a stream starts.

    Args:
        state: State after the batch before, each tensor (L, B, H); None at the start.
        batch: Its ``fresh_B`` says which rows continue. Rows of ``state`` beyond the batch have ended.
        model: A row that starts anew has its ``initial_state(B)``, to which gradients flow, or zero if it has none.
    """
    if not state or batch.fresh_B is None:
        return None
    if state[0].shape[1] < len(batch):
        assert batch.fresh_B.all(), "a row continues one that was not in the batch before"
        return None
    old = tuple(part[:, : len(batch)].detach() for part in state)
    start = model.initial_state(len(batch)) if hasattr(model, "initial_state") else map(torch.zeros_like, old)
    rows = len(batch)
    return tuple(
        torch.where(batch.fresh_B.view(1, rows, *[1] * (part.dim() - 2)), new, part)
        for new, part in zip(start, old, strict=True)
    )


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of the network in a checkpoint of training."""
    prefix = "network."
    return {key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items()}
