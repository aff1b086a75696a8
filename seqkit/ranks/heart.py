"""A thread in every rank by which the others know that it lives, and which ends a job that cannot go on.

A collective that waits for a rank that is gone or hangs cannot say which one it waits for, and may wait for ever.
So each rank beats into the store and looks at the beats of the next one; whoever finds something wrong writes it
there once, and every rank ends by it.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import distributed as dist

from seqkit.ranks.place import Place

BEAT = 0.5  # seconds between two beats
TIMEOUT = 600.0  # seconds without a beat, until the config says otherwise
GRACE = 5.0  # seconds that a rank has to end by itself once the job has ended
GONE = 8.0  # seconds without a beat after which a rank to which the connection was lost counts as gone
END = "end"  # in the store: why the job ends


@dataclass(frozen=True)
class End:
    """Why a job ends before it is done.

    Attributes:
        rank: That ends it, or that it has to end for.
        text: In one line.
        code: Exit code of every rank.
        signal: What asked for a stop; "" where something failed.
        step: Finished optimizer steps at a stop; None before the first.
        said_by: Rank that found it out.
    """

    rank: int
    text: str
    code: int = 1
    signal: str = ""
    step: int | None = None
    said_by: int | None = None


class Heart:
    """Beats for one rank.

    Args:
        place: Of the rank.
        store: That all ranks share.
        last_words: Said before a stop ends this process in a collective.
    """

    def __init__(self, place: Place, store: dist.Store, last_words: Callable[[End], object] | None = None) -> None:
        self.place, self.store, self._last_words = place, store, last_words
        self.name = f"{socket.gethostname()}, process {os.getpid()}"
        self.stopped = False
        self._own: Any = store.clone()  # type: ignore[attr-defined] # the thread's: a call in one thread would wait for the other's
        self._timeout, self._watching = TIMEOUT, False
        self._ticks, self._ticked = 0, time.monotonic()
        self._enough = threading.Event()
        self._saying, self._said = threading.Lock(), False
        self._unanswered = 0  # looks at the store that has not answered in between
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()
        threading.Thread(target=self._watch_store, name="watch of the store", daemon=True).start()

    def stop(self) -> None:
        """Beat no longer: this rank has done its part."""
        if self.stopped:
            return
        self.stopped = True
        self._enough.set()
        self._thread.join()
        with suppress(RuntimeError):  # the store is gone with the rank that kept it
            self._beat("done")

    def watch(self, seconds: float | None) -> None:
        """See ``Group.watch``."""
        self._watching = seconds is not None
        if seconds is not None:
            self._timeout = seconds
        self.tick()

    def tick(self) -> None:
        """See ``Group.tick``."""
        self._ticks += 1
        self._ticked = time.monotonic()

    def end(self, end: End) -> End:
        """Say to all ranks why the job ends, and return the reason that stands: the first one said."""
        end = replace(end, said_by=self.place.rank)
        try:
            said = End(**json.loads(self.store.compare_set(END, "", json.dumps(asdict(end)))))
        except RuntimeError:
            return end if end.signal else self._without_store()
        if said == end and not end.signal and self.place.starter != "seqkit":  # whose starter says it
            self._print(end)
        return said

    def _without_store(self) -> End:
        """Return that the store is gone, and say so: on each node one rank does, since none can tell the others."""
        with self._saying:
            end = End(0, f"the store of the ranks at {':'.join(map(str, self.place.address))} does not answer")
            speaker = 1 if self.place.node == 0 and self.place.local_size > 1 else 0
            if self.place.local_rank == speaker and not self._said:
                self._print(end)
            self._said = True
            return end

    def _print(self, end: End) -> None:
        print(f"seqkit: rank {end.rank}: {end.text}", file=sys.stderr, flush=True)

    def ended(self, seconds: float) -> End | None:
        """Return why the job ends: what a rank has said, or that one is silent; None if not within ``seconds``."""
        beats = _Beats(self.store)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                if self.store.check([END]):
                    return End(**json.loads(self.store.get(END)))
                for rank in range(self.place.size):
                    if rank != self.place.rank and beats.silent(rank) > GONE:
                        return self.end(End(rank, f"{beats.name(rank)} is gone"))
                time.sleep(BEAT / 5)
        except RuntimeError:
            return self._without_store()
        return None

    def _run(self) -> None:
        beats, number, last = _Beats(self._own), 0, time.monotonic()
        while True:
            number += 1
            if time.monotonic() - last > GONE:  # all were suspended, maybe: the others have to wake up too
                beats, self._ticked = _Beats(self._own), time.monotonic()
            last = time.monotonic()
            try:
                self._beat(str(number))
                end = self._reason_to_end(beats)
                self._unanswered = 0
            except RuntimeError:  # of the store
                end = None if self._enough.is_set() else self._without_store()
            if end:
                self._end_process(end)
            if self._enough.wait(BEAT):
                return

    def _watch_store(self) -> None:
        """End where the process that keeps the store hangs: a call of the store would wait for it for ever."""
        while not self._enough.wait(BEAT):
            self._unanswered += 1  # not by the clock, which goes on while this process is suspended
            if self._unanswered * BEAT > self._timeout:
                self._end_process(self._without_store())

    def _beat(self, number: str) -> None:
        beat = {"number": number, "ticks": self._ticks, "idle": time.monotonic() - self._ticked, "name": self.name}
        self._own.set(f"beat/{self.place.rank}", json.dumps(beat))

    def _reason_to_end(self, beats: "_Beats") -> End | None:
        """Look at the next rank; where nothing gets on here, at all of them."""
        if self._own.check([END]):
            return End(**json.loads(self._own.get(END)))
        following = (self.place.rank + 1) % self.place.size
        if beats.silent(following) > self._timeout:
            return self.end(End(following, f"{beats.name(following)} has not answered for {self._timeout:g} s"))
        if self._watching and time.monotonic() - self._ticked > self._timeout:
            everyone = [beats.read(rank) for rank in range(self.place.size)]
            if min(beat["idle"] for beat in everyone) > self._timeout:
                rank = min(range(self.place.size), key=lambda rank: everyone[rank]["ticks"])
                if everyone[rank]["ticks"] == max(beat["ticks"] for beat in everyone):
                    return self.end(End(rank, f"no rank has got on for {self._timeout:g} s (trainer.timeout)"))
                name = everyone[rank]["name"]
                return self.end(
                    End(rank, f"{name} is where nothing has got on for {self._timeout:g} s (trainer.timeout)")
                )
        return None

    def _end_process(self, end: End) -> None:
        """Let the process end by itself; where it waits in a collective, end it."""
        if not self._enough.wait(GRACE):
            if end.signal and self._last_words is not None:
                self._last_words(end)
            os._exit(end.code)


class _Beats:
    """What the other ranks last wrote, and for how long it has not changed by the clock of this process."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._seen: dict[int, tuple[str, float]] = {}

    def read(self, rank: int) -> dict:
        key = f"beat/{rank}"
        return json.loads(self._store.get(key)) if self._store.check([key]) else {"number": "", "idle": 0, "ticks": 0}

    def name(self, rank: int) -> str:
        return self.read(rank).get("name", "it")

    def silent(self, rank: int) -> float:
        number = self.read(rank)["number"]
        if rank not in self._seen or self._seen[rank][0] != number or number == "done":
            self._seen[rank] = number, time.monotonic()
        return time.monotonic() - self._seen[rank][1]
