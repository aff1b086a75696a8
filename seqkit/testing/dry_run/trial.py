"""The run that is tried: its components, which of them are plugins, and the voice in which a fault of one is told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import ceil

import torch

from seqkit import registry
from seqkit.config import CHOICES, Config
from seqkit.contracts.components import Data
from seqkit.errors import PluginError, SeqkitError
from seqkit.faults import brief, fault
from seqkit.runs.length import planned_steps
from seqkit.specs import component_of

SKIP = "trainer.dry_run=false trains without this check"


class Trial:
    """A run before its first step.

    Args:
        config: Of the run, checked.
        data: Set up.
        device: To train on.

    Attributes:
        plugins: The components that are not seqkit's own, as KIND=NAME, by kind.
    """

    def __init__(self, config: Config, data: Data, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        names = {kind: config[kind]["name"] for kind in CHOICES if config[kind]}
        names = {"frontend": data.spec.inputs.frontend, "head": data.spec.task.head, **names}
        components = [registry.find(kind, name) for kind, name in names.items()]
        components += [component_of(data.spec.inputs), component_of(data.spec.task)]
        self._names = {component.kind: f"{component.kind}={component.name}" for component in components}
        self.plugins = {one.kind: self._names[one.kind] for one in components if one in registry.plugins()}

    @cached_property
    def train_order(self) -> Sequence[Sequence[int]]:
        """Batches of the first pass over the training part, made once: there may be many."""
        with self.part("data", doing="order"):
            return self.data.order("train", self.data.batch_size, self.config["seed"], 0)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        accumulate = self.config["trainer"]["accumulate_grad_batches"]
        return planned_steps(self.config, ceil(len(self.train_order) / accumulate))

    def has_plugin(self, *kinds: str) -> bool:
        """Whether a component of these kinds is a plugin."""
        return any(kind in self.plugins for kind in kinds)

    def blamed(self, *kinds: str) -> str:
        """Return the plugins of these kinds, or the components where none of them is one."""
        return ", ".join(self.plugins[kind] for kind in kinds if kind in self.plugins) or ", ".join(
            self._names[kind] for kind in kinds
        )

    @contextmanager
    def part(self, *kinds: str, doing: str) -> Iterator[None]:
        """Turn an exception into a refusal that names the component, the author's file and line, and the error.

        Args:
            kinds: Whose fault it is where no line of an author is in the traceback: those that are plugins.
            doing: Method, or the part of a training.

        Raises:
            PluginError: In place of the exception; one of a run without plugins is seqkit's own and is left as it is.
        """
        try:
            yield
        except SeqkitError:
            raise
        except (Exception, SystemExit) as error:
            refusal = fault(error, f"{self.blamed(*kinds)}: {doing}")
            if refusal is None and not self.plugins:
                raise
            raise refusal or PluginError(f"{self.blamed(*kinds)}: {doing} fails: {brief(error)}") from error

    def refuse(self, *kinds: str, reason: str) -> PluginError:
        """Build the refusal of what the components of these kinds do."""
        return PluginError(f"{self.blamed(*kinds)}: {reason}; {SKIP}")
