"""How several ranks share a training: what Lightning asks about them, and its strategy."""

import re
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from seqkit.errors import TrainingError
from seqkit.models.stack import Layer
from seqkit.ranks import Place

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers by their size in bytes."""


class RankEnvironment(ClusterEnvironment):
    """Tells Lightning the place of this process; the ranks are there and connected already.

    Args:
        place: Of this process.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.place.address[0]

    @property
    def main_port(self) -> int:
        return self.place.address[1]

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.place.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.place.local_rank

    def node_rank(self) -> int:
        return self.place.node


def strategy(name: Literal["auto", "ddp", "fsdp"], place: Place) -> Strategy | str:
    """Return Lightning's strategy; a process by itself needs none."""
    if place.starter == "nobody":
        return "auto"
    return Shards() if name == "fsdp" else Copies()


class Copies(DDPStrategy):
    """DDP: the network in every rank; gradients are averaged in place, in buckets, during the backward pass."""

    def __init__(self) -> None:
        super().__init__(gradient_as_bucket_view=True, find_unused_parameters=False)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Refuse parameters that got no gradient; the buckets that hold them would stay as they are on this rank.

        Raises:
            TrainingError: Names the first of them.
        """
        ddp: Any = self.model
        if not ddp.require_backward_grad_sync:  # more batches are accumulated
            return
        try:
            ddp._check_reducer_finalized()
        except RuntimeError as error:
            _, _, numbers = str(error).partition(f"rank {self.global_rank}: ")
            names = [name for name, parameter in ddp.module.named_parameters() if parameter.requires_grad]
            first = re.match(r"\d+", numbers)
            if first is None:
                raise
            raise _without_gradient(names[int(first[0])]) from None


class Shards(DDPStrategy):
    """FSDP: each rank holds a share of every parameter, its gradient and the optimizer's state.

    The weights of a recurrent layer are gathered while it runs, those of all else for the whole step. A checkpoint
    holds whole tensors, as without FSDP.
    """

    def model_to_device(self) -> None:
        """Leave the network on the CPU: each layer is moved as it is sharded."""

    def configure_ddp(self) -> None:
        module: Any = self.lightning_module
        if getattr(self.precision_plugin, "scaler", None) is not None:
            raise TrainingError(
                "trainer.strategy=fsdp does not scale a loss; use trainer.precision=bf16-mixed or 32-true"
            )
        for name, parameter in module.named_parameters():
            if parameter.dim() == 0:
                raise TrainingError(
                    f"trainer.strategy=fsdp: {_own(name)} is a single number, which has no rows to shard; make it a "
                    "tensor of one element, or use trainer.strategy=ddp"
                )
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.detach(), src=0)
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")  # nothing is changed in place
        self._mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for part in list(module.modules()):
            if isinstance(part, Layer):
                fully_shard(part, mesh=self._mesh)
        fully_shard(module, mesh=self._mesh)
        for step in ("training_step", "validation_step"):
            register_fsdp_forward_method(module, step)
        module.to(self.root_device)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Refuse parameters that got no gradient, as ``Copies`` does."""
        module: Any = self.lightning_module
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and parameter.grad is None:
                raise _without_gradient(name)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        module: Any = self.lightning_module
        return {name: whole(value) for name, value in module.state_dict().items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        content: dict[str, Any] = super().optimizer_state(optimizer)
        content["state"] = {
            number: {name: whole(value) for name, value in own.items()} for number, own in content["state"].items()
        }
        return content

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, content in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            for number, own in content["state"].items():
                for name, value in own.items():
                    own[name] = share(value, parameters[number])
            optimizer.load_state_dict(content)

    def teardown(self) -> None:
        """End without moving the network to the CPU: in the middle of a step, where a fault ends it, that fails."""
        for part in (self.cluster_environment, self.precision_plugin, self.accelerator, self.checkpoint_io):
            part.teardown()  # type: ignore[union-attr]


def whole(value: Any) -> Any:
    """Return a tensor put together from the shares of all ranks; on rank 0, which alone saves it."""
    if not isinstance(value, DTensor):
        return value
    tensor = value.full_tensor()
    return tensor.cpu() if dist.get_rank() == 0 else None


def reshard(module: nn.Module) -> None:
    """Let go of the weights that FSDP has gathered and would not gather again, so that the shares can be changed."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def share(value: Any, parameter: Tensor) -> Any:
    """Return this rank's share of a tensor that has an element per element of the parameter, which may be sharded."""
    if not isinstance(value, Tensor) or not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def bits_of(network: nn.Module) -> dict[str, int]:
    """Return a checksum of each parameter that every rank has whole: the sum of its bits, read as integers."""
    whole = {name: value.detach() for name, value in network.named_parameters() if not isinstance(value, DTensor)}
    sums = [value.contiguous().view(INTEGERS[value.itemsize]).sum(dtype=torch.int64) for value in whole.values()]
    return dict(zip(whole, torch.stack(sums).tolist(), strict=True)) if sums else {}


def _without_gradient(name: str) -> TrainingError:
    return TrainingError(
        f"{_own(name)} got no gradient in this step, which several ranks cannot train; let the loss depend on it in "
        "every step, or set its requires_grad to False"
    )


def _own(name: str) -> str:
    """Return the name of a parameter in the network."""
    return name.removeprefix("network.")
