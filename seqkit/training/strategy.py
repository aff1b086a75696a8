"""How several ranks share a training: what Lightning asks about them, and its strategy."""

from typing import Literal

from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from seqkit.ranks import Place


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
    return DDPStrategy(gradient_as_bucket_view=True, find_unused_parameters=False)
