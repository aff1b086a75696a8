"""The content of a checkpoint: plain, and fit to be put back into the objects that it came from."""

from dataclasses import dataclass
from typing import Any

from seqkit.network import Network, network_weights
from seqkit.runs.checkpoint import refuse_if_not_plain
from seqkit.testing.dry_run.trial import Trial
from seqkit.testing.saving import read_back


@dataclass(frozen=True)
class Saved:
    """The objects whose state a checkpoint holds.

    Attributes:
        network: That is trained.
        optimizer: For its parameters.
        scheduler: Torch's, for the optimizer.
    """

    network: Network
    optimizer: Any
    scheduler: Any

    def content(self, trial: Trial) -> dict[str, Any]:
        """Return the states as a checkpoint of Lightning holds them."""
        with trial.part("model", "frontend", "head", doing="state_dict"):
            weights = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        with trial.part("optimizer", doing="state_dict"):
            optimizer = self.optimizer.state_dict()
        with trial.part("scheduler", doing="state_dict"):
            scheduler = self.scheduler.state_dict()
        return {"state_dict": weights, "optimizer_states": [optimizer], "lr_schedulers": [scheduler]}

    def restore(self, trial: Trial, content: dict[str, Any]) -> None:
        """Put the states back."""
        with trial.part("model", "frontend", "head", doing="load_state_dict"):
            self.network.load_state_dict(network_weights(content))
        with trial.part("optimizer", doing="load_state_dict"):
            self.optimizer.load_state_dict(content["optimizer_states"][0])
        with trial.part("scheduler", doing="load_state_dict"):
            self.scheduler.load_state_dict(content["lr_schedulers"][0])


def try_checkpoint(trial: Trial, saved: Saved, metadata: dict[str, Any]) -> None:
    """Write a checkpoint's content into memory, read it and put it back."""
    content = {**saved.content(trial), "seqkit": metadata}
    refuse_if_not_plain(content)
    saved.restore(trial, read_back(content))
