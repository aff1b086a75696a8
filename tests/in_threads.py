"""Ranks as threads of one process, which tell each other things as the ranks of a group do."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

from seqkit.ranks import Group, Place

PATIENCE = 300  # seconds, for a busy machine: ranks that come apart are an error, not a hanging test


class Meeting:
    """Where the ranks meet."""

    def __init__(self, size):
        self.values = [None] * size
        self.barrier = threading.Barrier(size, timeout=PATIENCE)


class ThreadGroup(Group):
    def __init__(self, rank, size, meeting):
        super().__init__(Place(rank=rank, size=size))
        self.meeting = meeting

    def gather(self, value):
        self.meeting.values[self.rank] = pickle.dumps(value)
        self.meeting.barrier.wait()
        found = [pickle.loads(own) for own in self.meeting.values]
        self.meeting.barrier.wait()
        return found

    def broadcast(self, value=None):
        return self.gather(value)[0]


def on_ranks(size, work, monkeypatch, modules):
    """Return what ``work(rank)`` returns or raises on each rank, with ``group`` in the modules that of the rank."""
    here = threading.local()
    for module in modules:
        monkeypatch.setattr(f"{module}.group", lambda: here.group)
    meeting = Meeting(size)

    def of_rank(rank):
        here.group = ThreadGroup(rank, size, meeting)
        try:
            return work(rank)
        except threading.BrokenBarrierError:
            raise
        except Exception:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(of_rank, rank) for rank in range(size)]
    return [future.exception() or future.result() for future in futures]
