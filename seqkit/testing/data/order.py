"""The order of samples, and the streams that they make."""

from typing import Any

from seqkit.contracts.batch import EVALUATED, SPLITS, Split
from seqkit.contracts.components import Data
from seqkit.testing.check import DoesNotApply, check, ensure, explained
from seqkit.testing.data.subject import DataSubject


@check("data", cheap=True)
def evaluation_takes_every_sample_once(subject: DataSubject) -> None:
    """A score over some samples, or over some twice, is another one."""
    for split in subject.walked(*EVALUATED):
        size = len(subject.data.part(split))  # type: ignore[arg-type]
        for batch_size in (1, subject.data.batch_size):
            batches = subject.data.order(split, batch_size, 0, 0)
            taken = [index for batch in batches for index in batch]
            left, twice = size - len(set(taken)), len(taken) - len(set(taken))
            ensure(
                sorted(taken) == list(range(size)),
                f"order({split!r}, {batch_size}, 0, 0) leaves out {left} of {size} samples and takes {twice} more than "
                "once; the last batch may be smaller",
            )
            longest = max(map(len, batches))
            ensure(longest <= batch_size, f"order({split!r}, {batch_size}, 0, 0) has a batch of {longest} samples")


@check("data", cheap=True)
def order_is_a_function_of_its_arguments(subject: DataSubject) -> None:
    """A resumed run, and each of several devices, asks for it again and must get the same."""
    size = subject.data.batch_size
    splits = subject.walked(*SPLITS)
    for split in splits:
        first = _order(subject, split, size, 3, 1)
        with explained("name the parameters of order split, batch_size, seed, epoch"):
            again = [list(batch) for batch in subject.data.order(split=split, batch_size=size, seed=3, epoch=1)]
        ensure(
            again == first,
            f"order({split!r}, {size}, 3, 1) differs between two calls; draw from a torch.Generator seeded by "
            "seed and epoch",
        )
    for split in [split for split in splits if split in EVALUATED]:
        ensure(
            _order(subject, split, size, 0, 0) == _order(subject, split, size, 3, 1),
            f"order({split!r}, ...) changes with seed or epoch; shuffle 'train' only",
        )


@check("data")
def training_order_changes_with_the_epoch(subject: DataSubject) -> None:
    """The same batches in the same order, pass after pass, train worse than shuffled ones."""
    if subject.first_batch("train").fresh_B is not None:
        raise DoesNotApply("the data are streams, which have an order of their own")
    first = _order(subject, "train", subject.data.batch_size, 0, 0)
    if len(first) < 2:
        raise DoesNotApply("one batch holds all training samples")
    ensure(
        any(_order(subject, "train", subject.data.batch_size, 0, epoch) != first for epoch in range(1, 10)),
        f"the {len(first)} batches of training come in the same order in ten epochs; use "
        "seqkit.shuffled(size, batch_size, seed, epoch)",
    )


@check("data")
def streams_do_not_depend_on_the_batch_size(subject: DataSubject) -> None:
    """What state a sample starts from, and with it every score, must not change with the number of rows."""
    if subject.first_batch("valid").fresh_B is None:
        raise DoesNotApply("the data are no streams")
    one, three = (_predecessors(subject.data, size) for size in (1, 3))
    differing = [index for index in one if one[index] != three.get(index)]
    index = differing[0] if differing else 0
    ensure(
        not differing,
        f"sample {index} of valid follows sample {one[index]} in batches of 1, and {three.get(index)} in batches of 3; "
        "cut the part into a fixed number of streams",
    )


def _order(subject: DataSubject, split: Split, size: int, seed: int, epoch: int) -> list[list[int]]:
    return [list(batch) for batch in subject.data.order(split, size, seed, epoch)]


def _predecessors(data: Data, batch_size: int) -> dict[int, int | None]:
    """Return for each sample of the validation part the one whose state it starts from, None for a fresh start."""
    part: Any = data.part("valid")
    found: dict[int, int | None] = {}
    before: list[int] = []
    for batch in data.order("valid", batch_size, 0, 0):
        fresh_B = data.collate([part[index] for index in batch]).fresh_B
        assert fresh_B is not None
        for row, (index, fresh) in enumerate(zip(batch, fresh_B.tolist(), strict=True)):
            ensure(fresh or row < len(before), f"sample {index} of valid continues a row that was not there before")
            found[index] = None if fresh else before[row]
        before = [*batch]
    return found
