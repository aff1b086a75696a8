"""The ranks that train together, connected: what they tell each other outside of the gradient."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from seqkit.errors import ConfigError, Stopped, TrainingError, one_line
from seqkit.ranks.heart import Heart
from seqkit.ranks.place import Place

T = TypeVar("T")
CONNECT = timedelta(minutes=10)  # for all ranks to be there
COLLECTIVE = timedelta(hours=24)  # a hanging rank is found by the heart, which knows its name, not by this
POLL = 0.1  # seconds


class LostError(BaseException):
    """A collective failed, as it does where another rank is gone. Like ``Stopped`` no error that may be forgiven."""


class Group:
    """The connected ranks; a process by itself is a group of one, for which everything here costs nothing.

    Args:
        place: Of this process.
        control: Process group on the CPU for messages; None for a group of one.
        heart: Of this process; None for a group of one.
    """

    def __init__(self, place: Place | None = None, control: Any = None, heart: Heart | None = None) -> None:
        self.place = place or Place()
        self.rank, self.size = self.place.rank, self.place.size
        self.control, self.heart = control, heart

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes and speaks."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with self._collective():
            dist.all_gather_object(values, value, group=self.control)
        return values

    def broadcast(self, value: Any = None) -> Any:
        """Return rank 0's value."""
        if self.size == 1:
            return value
        box = [value]
        with self._collective():
            dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.gather(None)

    def do(self, part: Callable[[], T]) -> T:
        """Return what ``part`` returns here; where it fails on one rank it fails on all, which so stay together.

        Raises:
            TrainingError: Names the rank that failed and its error; that rank raises the error itself.
        """
        if self.size == 1:
            return part()
        failure: Exception | None = None
        try:
            found = part()
        except Exception as error:
            failure = error
        reasons = self.gather(failure and f"{type(failure).__name__}: {one_line(failure)}")
        if failure:
            raise failure
        for rank, reason in enumerate(reasons):
            if reason:
                raise TrainingError(f"rank {rank}: {reason}")
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over the ranks, in place, on its device."""
        if self.size > 1:
            with self._collective():
                dist.all_reduce(tensor)
        return tensor

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Count a collective as progress, so that of ranks where one hangs, those that wait for it have more ticks."""
        self.tick()
        try:
            yield
        except RuntimeError as error:
            raise LostError(one_line(error)) from error

    def part(self) -> None:
        """Note that all ranks have agreed to end: that another one is gone is no fault any more."""
        if self.heart is not None:
            self.heart.stop()

    def tick(self) -> None:
        """Note that this rank has got further; without any for ``trainer.timeout``, the job is ended as hanging."""
        if self.heart is not None:
            self.heart.tick()

    def watch(self, seconds: float | None) -> None:
        """Set after how many seconds a rank counts as hanging, and ask for ticks from now on; None asks for none."""
        if self.heart is not None:
            self.heart.watch(seconds)

    def refuse_if_unequal(self, facts: Mapping[str, Any]) -> None:
        """Refuse to go on where ranks differ in what must be the same.

        Raises:
            TrainingError: Names the first rank that differs from rank 0, and in what.
        """
        everywhere = self.gather({"host": self.place_name, **facts})
        for rank, theirs in enumerate(everywhere):
            for name in facts:
                if (ours := everywhere[0].get(name)) != (other := theirs.get(name)):
                    raise TrainingError(
                        f"rank {rank} ({theirs['host']}) differs from rank 0 ({everywhere[0]['host']}) in {name}: "
                        f"{_difference(other, ours)}"
                    )

    @property
    def place_name(self) -> str:
        """Host and process of this rank."""
        return self.heart.name if self.heart is not None else "here"


def _difference(other: Any, ours: Any) -> str:
    """Return two values, or of two tables the first entry that differs."""
    if isinstance(other, dict) and isinstance(ours, dict):
        for key in [*ours, *(key for key in other if key not in ours)]:
            if other.get(key) != ours.get(key):
                return f"{key} is {other.get(key, 'missing')}, not {ours.get(key, 'missing')}"
    return f"{other}, not {ours}"


class DelayedMax:
    """The largest of the numbers that the ranks gave in the call before, 0 in the first call; of one rank, its own.

    All ranks get the same answer at the same call, and none waits: the numbers travel meanwhile.
    """

    def __init__(self, ranks: Group) -> None:
        self._ranks = ranks
        self._pending: tuple[Tensor, Any] | None = None

    def __call__(self, number: int) -> int:
        if self._ranks.size == 1:
            return number
        found = 0
        with self._ranks._collective():
            if self._pending is not None:
                largest, work = self._pending
                work.wait()
                found = int(largest)
            mine = torch.tensor(number)
            work = dist.all_reduce(mine, dist.ReduceOp.MAX, group=self._ranks.control, async_op=True)
        self._pending = mine, work
        return found


_group = Group()


def group() -> Group:
    """Return the group of this process: a group of one where it trains by itself."""
    return _group


@contextmanager
def connected(heart: Heart) -> Iterator[Group]:
    """Connect the ranks, and make them the group of this process.

    Args:
        heart: Of this rank, beating.
    """
    global _group
    place = heart.place
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    own = dist.PrefixStore("torch", heart.store)
    dist.init_process_group(backend, store=own, rank=place.rank, world_size=place.size, timeout=COLLECTIVE)
    control = dist.new_group(backend="gloo", timeout=COLLECTIVE)
    before, _group = _group, Group(place, control, heart)
    try:  # where ranks have lost each other, the process group is left as it is: taking it down might wait for ever
        yield _group
        _group.barrier()  # until all are done, each is watched
        heart.stop()
        dist.destroy_process_group()
    except Stopped:
        if heart.stopped:  # all ranks have agreed on it
            dist.destroy_process_group()
        raise
    finally:
        _group = before


def shared_store(place: Place) -> dist.Store:
    """Return the store through which the ranks find each other, once all of them are there.

    Raises:
        ConfigError: It is not reached.
        TrainingError: Names the ranks that do not come.
    """
    host, port = place.address
    try:
        store: dist.Store = dist.TCPStore(host, port, None, place.hosts_store, CONNECT, wait_for_workers=False)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"rank {place.rank} of {place.size} does not reach the others at {host}:{port} "
            f"({one_line(error)[:200]}); MASTER_ADDR and MASTER_PORT name the host of rank 0 and a free port"
        ) from None
    store = dist.PrefixStore(place.start, store)
    keys = [f"here/{rank}" for rank in range(place.size)]
    store.set(keys[place.rank], "")
    until = time.monotonic() + CONNECT.total_seconds()
    while not store.check(keys):  # store.wait would keep a signal waiting too
        if time.monotonic() > until:
            missing = ", ".join(str(rank) for rank, key in enumerate(keys) if not store.check([key]))
            minutes = CONNECT.seconds // 60
            raise TrainingError(f"of {place.size} ranks these did not start within {minutes} minutes: {missing}")
        time.sleep(POLL)
    return store
