"""Loaders of a data set's batches."""

import os
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from seqkit import schema
from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.data.ordering import rows_of_rank
from seqkit.errors import DataError, PluginError, SeqkitError
from seqkit.faults import fault
from seqkit.inputs.delimited import ColumnError
from seqkit.interrupting import reached
from seqkit.process_state import left_alone
from seqkit.ranks import group
from seqkit.specs import spec_to_json
from seqkit.stopping import held

TELLS_SENDER = hasattr(signal, "sigwaitinfo")  # of a signal; not on macOS


def set_up(data: Data) -> None:
    """Prepare the data, where they have something to prepare, once on each node, and read or make them."""
    with left_alone(f"the setup of {type(data).__name__}"):
        if hasattr(data, "prepare") and group().place.local_rank == 0:
            data.prepare()
        group().barrier()
        reached("data")
        try:
            data.setup()
        except ColumnError as error:
            raise DataError(f"{error}{_advice(data, error.column)}") from None


def _advice(data: Data, column: str) -> str:
    """Return the option that names a column, as it is typed, as a sentence; an empty string where none does."""
    try:
        options = [option.name for option in schema.options(type(data))]
    except PluginError:  # made by a function; its options are not those of the class
        return ""
    given = {name: getattr(data, name, None) for name in options}
    alone = [f". Say data.{name}=COLUMN" for name, value in given.items() if value == column]
    lists = {name: value for name, value in given.items() if isinstance(value, list) and column in value}
    among = [f". Say data.{name}=[COLUMN]" for name, value in lists.items() if len(value) == 1]
    among += [f". Name it in data.{name}" for name in lists]
    return next(iter([*alone, *among]), "")


def refuse_if_undescribed(data: Data) -> None:
    """Refuse data that lack, once they are set up, what a run stands on; raises ``PluginError``."""
    for name, kind in (("spec", DataSpec), ("fingerprint", str), ("facts", dict), ("batch_size", int)):
        value = getattr(data, name, None)
        if not isinstance(value, kind) or value == "":
            raise PluginError(f"{type(data).__name__}.{name} is {value!r:.60} after setup(); make it a {kind.__name__}")
    try:
        spec_to_json(data.spec)
    except PluginError as error:
        raise PluginError(f"{type(data).__name__}.spec: {error}") from None


def load_batches(
    data: Data,
    split: Split,
    order: "Sequence[Sequence[int]] | OwnRows",
    workers: int = 0,
    pin: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> "DataLoader | FromWorkers | Share":
    """Return a loader of the batches in ``order``, each a list of sample indices.

    Args:
        data: Set up.
        split: Of which the samples are.
        order: As ``Data.order`` returns it.
        workers: Processes that load; 0 loads in this one.
        pin: Whether to put batches into page-locked memory.
        rank: Of this process among those that share each batch.
        ranks: Number of those processes.
    """
    if ranks > 1:
        own = OwnRows(order, rank, ranks)
        return Share(load_batches(data, split, own, workers, pin), own)
    # Without its own generator a DataLoader draws its base seed from torch's global one, which dropout uses.
    base_seed = torch.Generator().manual_seed(0)
    dataset: Any = data.part(split)
    batches: Any = order
    if not workers:
        return DataLoader(dataset, batch_sampler=batches, collate_fn=data.collate, pin_memory=pin, generator=base_seed)
    made: Any = InWorker(data, dataset)
    as_it_is: Any = _as_it_is
    return FromWorkers(
        DataLoader(
            made,
            batch_sampler=batches,
            collate_fn=as_it_is,
            num_workers=workers,
            pin_memory=pin,
            generator=base_seed,
            worker_init_fn=_heed_parent_only,
        )
    )


def evaluation_loader(
    data: Data, split: Split, batch_size: int, workers: int = 0, pin: bool = False, shared: bool = True
) -> "DataLoader | FromWorkers | Share":
    """Return a loader of every sample of ``split``, or if ``shared`` of this rank's share, in the data's own order."""
    order, ranks = data.order(split, batch_size, seed=0, epoch=0), group()
    if not shared:
        return load_batches(data, split, order, workers, pin)
    return load_batches(data, split, order, workers, pin, ranks.rank, ranks.size)


class OwnRows:
    """A rank's rows of each batch, or where it has none a row of another rank.

    Args:
        order: Batches of all ranks.
        rank: Of this process.
        ranks: Number of ranks.
    """

    def __init__(self, order: Any, rank: int, ranks: int) -> None:
        self.order, self.rank, self.ranks = order, rank, ranks

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Sequence[int]]:
        for rows in self.order:
            yield rows_of_rank(rows, self.rank, self.ranks) or rows[:1]

    def counts(self) -> Iterator[bool]:
        """Return for each batch whether the rows are its own."""
        return (self.rank < len(rows) for rows in self.order)


class Share:
    """The batches of a rank's rows; those with a row of another rank are marked as not counting.

    Args:
        loader: Of the rows.
        rows: Of the rank.
    """

    def __init__(self, loader: Iterable[Batch], rows: OwnRows) -> None:
        self.loader, self.rows = loader, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        for batch, counts in zip(self.loader, self.rows.counts(), strict=True):
            yield batch if counts else replace(batch, counts=False)


@dataclass(frozen=True)
class Failure:
    """A batch that could not be made: the refusal, and the traceback of an exception that is not one."""

    refusal: SeqkitError
    trace: str = ""


class InWorker:
    """Makes batches in a worker process; a fault is returned, since torch brings home no more than its text.

    Args:
        data: Set up.
        part: Its samples of a split.
    """

    def __init__(self, data: Data, part: Any) -> None:
        self.name, self.collate, self.part = type(data).__name__, data.collate, part

    def __getitems__(self, indices: Sequence[int]) -> Batch | Failure:
        try:
            return self.collate([self.part[index] for index in indices])
        except SeqkitError as error:
            return Failure(error)
        except Exception as error:
            refusal = fault(error, f"reading samples of {self.name}")
            if refusal is None:
                raise
            return Failure(refusal, traceback.format_exc())


class FromWorkers:
    """The batches of worker processes, whose faults are raised as they would be without any."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        with held(signal.SIGTERM) if TELLS_SENDER else nullcontext():  # until a worker can tell whose it is
            batches = iter(self.loader)
        for batch in batches:
            if isinstance(batch, Failure):
                raise batch.refusal from (RuntimeError(batch.trace) if batch.trace else None)
            yield batch


def _heed_parent_only(worker: int) -> None:
    """Take a SIGTERM from the training process alone.

    A scheduler sends one to every process of a job, and the training needs batches until the boundary where it stops.
    """
    if TELLS_SENDER:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_asked_by_parent, daemon=True).start()


def _end_when_asked_by_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _as_it_is(batch: Batch) -> Batch:
    return batch
