"""The parts of a data set, in this process and in others."""

import pickle
from typing import Any

from seqkit.contracts.batch import EVALUATED, SPLITS
from seqkit.data.loading import load_batches, set_up
from seqkit.testing.check import DoesNotApply, check, ensure, explained
from seqkit.testing.data.subject import MOST, DataSubject, content, digests

LARGEST = 100_000
"""Bytes that a data set may hold before it is set up."""


@check("data")
def parts_share_no_sample(subject: DataSubject) -> None:
    """A score on what was trained on is one of memory."""
    part: Any = subject.data.part("train")
    size = len(part)
    seen = digests(subject.data, "train", list(range(max(0, size - MOST), size)))
    # Of small sequences of few symbols some are alike by chance: as many as in the training part itself; where none
    # are, fewer than 6 / n with a probability of 95 % (n^2 / 6 is the least number of sequences to draw n from).
    by_chance = 2 * (1 - len(set(seen)) / len(seen)) + 6 / len(seen)
    for split in EVALUATED:
        found = digests(subject.data, split)
        shared = sum(digest in set(seen) for digest in found)
        ensure(
            shared <= by_chance * len(found),
            f"{shared} of {len(found)} samples of {split} are in train too; divide the data before anything else",
        )


@check("data")
def the_same_options_give_the_same_data(subject: DataSubject) -> None:
    """Every process sets the data up by itself, and a resumed run does so again."""
    data, again = subject.data, subject.another()
    set_up(again)
    ensure(again.fingerprint == data.fingerprint, "its fingerprint is another when it is set up again")
    ensure(again.spec == data.spec, "its spec is another when it is set up again")
    for split in SPLITS:
        ensure(
            digests(again, split) == digests(data, split),
            f"the samples of {split} are others when the data is set up again; seed every generator",
        )


@check("data")
def a_worker_process_loads_the_same(subject: DataSubject) -> None:
    """trainer.num_workers is about speed, and must not change a result."""
    with explained("it cannot be sent to a worker process; hold no lambda, open file or nested function"):
        copy = pickle.loads(pickle.dumps(subject.data))
    order = [*subject.data.order("train", subject.data.batch_size, 0, 0)[:2]]
    due = [content(batch) for batch in load_batches(subject.data, "train", order, 0, False)]
    for data, workers, where in ((copy, 0, "a pickled copy"), (subject.data, 1, "a worker process")):
        found = [content(batch) for batch in load_batches(data, "train", order, workers, False)]
        ensure(found == due, f"{where} loads other batches; draw samples from generators seeded by their index")


@check("data")
def nothing_is_read_before_setup(subject: DataSubject) -> None:
    """Options are checked by constructing it, also for a mere description, and prepare comes before any reading."""
    try:
        size = len(pickle.dumps(subject.another()))
    except DoesNotApply:
        raise
    except Exception:
        raise DoesNotApply("it cannot be pickled, so its size is unknown") from None
    ensure(size <= LARGEST, f"it holds {size:,} bytes when it is constructed; read or make the data in setup")
