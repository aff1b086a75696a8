"""Loaders whose order is a pure function of (seed, epoch, batches handed out)."""

from collections.abc import Iterator
from math import ceil

from seqkit.contracts.batch import Batch
from seqkit.contracts.components import Data
from seqkit.data.loading import load_batches


class TrainLoader:
    """Hands out ``total`` batches, one pass over the training part after another, and can go on from anywhere.

    To Lightning the whole training is one epoch of known length: its own bookkeeping of epochs is where resuming
    goes wrong (a checkpoint on the last batch of an epoch skips the next one), and here there is none.
    The state counts a batch before it is handed out, so a checkpoint saved after a step points at the next batch.

    Args:
        data: Set up.
        seed: Of the run.
        total: Batches of the whole training.
        workers: Processes that load data.
        pin: Whether to put batches into page-locked memory.
        rank: Of this process among those that train together; each takes its rows of every batch.
        ranks: Number of those processes.
    """

    def __init__(
        self, data: Data, seed: int, total: int, workers: int, pin: bool, rank: int = 0, ranks: int = 1
    ) -> None:
        self.data, self.seed, self.total, self.workers, self.pin = data, seed, total, workers, pin
        self.rank, self.ranks = rank, ranks
        self.epoch = 0
        self.handed = 0  # batches of this epoch

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[Batch]:
        while True:
            order = self.data.order("train", self.data.batch_size, self.seed, self.epoch)
            rest = order[self.handed :]
            for batch in load_batches(self.data, "train", rest, self.workers, self.pin, self.rank, self.ranks):
                self.handed += 1
                yield batch
            self.epoch, self.handed = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "handed": self.handed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.handed = state["epoch"], state["handed"]


def steps_per_epoch(data: Data, seed: int, accumulate: int) -> int:
    """Return the optimizer steps of one pass over the training part."""
    return ceil(len(data.order("train", data.batch_size, seed, 0)) / accumulate)
