"""Jobs on a cluster, submitted by submitit."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from seqkit.sweeping.job import Flags, Outcome
from seqkit.sweeping.runners import Task


class Submitit:
    """A job of SLURM for each, or, to try it, a process that submitit starts here.

    Args:
        cluster: "slurm" or "local".
        options: Of ``submitit.AutoExecutor.update_parameters``; those that are None are left to the cluster.
    """

    in_sight: ClassVar[bool] = False

    def __init__(self, cluster: str, options: dict[str, Any]) -> None:
        self.cluster, self.options = cluster, options

    def __call__(
        self, tasks: Sequence[Task], flags: Flags, started: Callable[[int, str], None]
    ) -> Iterator[tuple[int, Outcome]]:
        raise NotImplementedError
        yield
