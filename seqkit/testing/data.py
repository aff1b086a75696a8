"""Checks of data sets."""

import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from seqkit import registry
from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.data.loading import load_batches, set_up
from seqkit.errors import SeqkitError, one_line
from seqkit.testing import options, tiny
from seqkit.testing.answers import json_reason
from seqkit.testing.check import DoesNotApply, check, ensure, explained, require
from seqkit.testing.line import Chosen

EVALUATED: tuple[Split, ...] = ("valid", "test")
LOOKED_AT, MOST = 300, 5000
"""Samples of a part that a check reads, and of the training part where all are wanted."""
LARGEST = 100_000
"""Bytes that a data set may hold before it is set up."""


@dataclass(frozen=True)
class DataSubject:
    """A data set to be checked.

    Attributes:
        get: Returns it, set up.
        make: Returns another of the same options, not yet set up; None where there can be none.
        config: Name and options, where it was built from these.
    """

    get: Callable[[], Data]
    make: Callable[[], Data] | None = None
    config: Mapping[str, Any] | None = None

    @cached_property
    def data(self) -> Data:
        return self.get()

    def another(self) -> Data:
        """Return a data set of the same options, not yet set up."""
        if self.make is None:
            raise DoesNotApply("the data set was not built by name, so no second one can be")
        return self.make()

    def first_batch(self, split: Split) -> Batch:
        return self.data.collate(self.first_samples(split))

    def first_samples(self, split: Split) -> list[Any]:
        part: Any = self.data.part(split)
        return [part[index] for index in self.data.order(split, self.data.batch_size, 0, 0)[0]]


def check_data(name: str, **options: Any) -> None:
    """Run every check of a data set on one that is registered.

    Args:
        name: Under which it is registered.
        options: Of the data set; tiny ones where none are given, if it is one of seqkit's that are always there.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    require(*suite({"data": {"name": name, **options}}))


def suite(chosen: Chosen) -> tuple[DataSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a data set; see ``seqkit.testing.line.suite``."""
    config = tiny.sized(chosen["data"])
    return DataSubject(lambda: tiny.data_set(config), lambda: registry.build("data", config), config), ("data",)


options.define_checks("data")


@check("data", cheap=True)
def fingerprint_is_a_sha256(subject: DataSubject) -> None:
    """A run refuses to be resumed on other data by it; None or "" would switch that off."""
    found = getattr(subject.data, "fingerprint", None)
    ensure(
        isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found),
        f"fingerprint is {found!r:.60}; make it hashlib.sha256(CONTENT).hexdigest()",
    )


@check("data", cheap=True)
def facts_are_plain_json(subject: DataSubject) -> None:
    """The report says by them what was trained on."""
    facts = getattr(subject.data, "facts", None)
    ensure(isinstance(facts, dict), f"facts is {facts!r:.60}; make it a dict, such as {{'train': '1,000 rows'}}")
    reason = json_reason(facts)
    ensure(not reason, f"facts are no plain JSON: {reason}")


@check("data", cheap=True)
def spec_survives_json(subject: DataSubject) -> None:
    """It is saved in every checkpoint, and a trained network cannot be used without it."""
    spec = getattr(subject.data, "spec", None)
    ensure(isinstance(spec, DataSpec), f"spec is {spec!r:.60}; make it DataSpec(INPUTS, TASK) in setup")
    assert isinstance(spec, DataSpec)
    back = registry.spec_from_json(registry.spec_to_json(spec))
    ensure(back == spec, "spec is another after a round trip through JSON; use tuples, not lists, in its fields")


@check("data", cheap=True)
def collate_returns_a_batch(subject: DataSubject) -> None:
    """Every part of a network reads its fields by name."""
    for split in SPLITS:
        samples = subject.first_samples(split)
        batch = subject.data.collate(samples)
        ensure(isinstance(batch, Batch), f"collate returned {type(batch).__name__}; return a seqkit.Batch")
        for name, value in [(f.name, getattr(batch, f.name)) for f in fields(batch)] + [*batch.extras.items()]:
            if isinstance(value, Tensor):
                ensure(
                    len(value) == len(samples),
                    f"{name} has {len(value)} rows for {len(samples)} samples of {split}; the batch must come first",
                )
        ensure(batch.targets is not None, f"a batch of {split} has no targets")


@check("data", cheap=True)
def lengths_are_those_of_the_rows(subject: DataSubject) -> None:
    """Padding that counts as valid, or a valid step that does not, is learned and scored wrongly without a word."""
    for split in SPLITS:
        samples = subject.first_samples(split)
        whole = subject.data.collate(samples)
        for name, values in (("lengths", whole.inputs), ("target_lengths", whole.targets)):
            lengths = getattr(whole, name)
            if lengths is not None and values is not None:
                ensure(not lengths.is_floating_point(), f"{name} is of {lengths.dtype}; make it int64")
                ensure(
                    int(lengths.max()) <= values.shape[1] and int(lengths.min()) >= (name == "lengths"),
                    f"{name} goes from {int(lengths.min())} to {int(lengths.max())} where rows have {values.shape[1]}",
                )
        for row, sample in enumerate(samples):
            alone = subject.data.collate([sample])
            steps = alone.inputs.shape[1] if alone.lengths is None else int(alone.lengths[0])
            found = whole.inputs.shape[1] if whole.lengths is None else int(whole.lengths[row])
            ensure(
                found == steps,
                f"row {row} of a batch of {split} has {steps} steps, and lengths says {found}; give "
                "Batch(lengths=...) where rows are padded",
            )
            ensure(
                torch.equal(whole.inputs[row, :steps], alone.inputs[0, :steps]),
                f"row {row} of a batch of {split} has other inputs than the sample alone; pad at the end",
            )


@check("data", cheap=True)
def batches_are_what_the_spec_says(subject: DataSubject) -> None:
    """Frontend and head are built from the spec, before any batch is seen."""
    spec = subject.data.spec
    network = tiny.network(subject.data)
    example = spec.inputs.example(1, spec.inputs.example_steps, torch.Generator().manual_seed(0))
    for split in SPLITS:
        batch = subject.first_batch(split)
        found, due = (
            f"{x.dtype} of shape (B, T{''.join(f', {n}' for n in x.shape[2:])})" for x in (batch.inputs, example)
        )
        ensure(found == due, f"inputs of {split} are {found}; {type(spec.inputs).__name__} says {due}")
        remedy = f"so a batch of {split} has no loss of head={spec.task.head}; its values must be those that spec says"
        with torch.no_grad(), explained(remedy):
            outputs, lengths, _ = network(batch)
            total, _ = network.head.loss(outputs, lengths, batch)
        ensure(
            bool(torch.isfinite(total)),
            f"a batch of {split} has a loss of {float(total):g} before any training; look for NaN, inf or huge values",
        )


@check("data", cheap=True)
def evaluation_takes_every_sample_once(subject: DataSubject) -> None:
    """A score over some samples, or over some twice, is another one."""
    for split in EVALUATED:
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
    for split in SPLITS:
        first = _order(subject, split, size, 3, 1)
        with explained("name the parameters of order split, batch_size, seed, epoch"):
            again = [list(batch) for batch in subject.data.order(split=split, batch_size=size, seed=3, epoch=1)]
        ensure(
            again == first,
            f"order({split!r}, {size}, 3, 1) differs between two calls; draw from a torch.Generator seeded by "
            "seed and epoch",
        )
    for split in EVALUATED:
        ensure(
            _order(subject, split, size, 0, 0) == _order(subject, split, size, 3, 1),
            f"order({split!r}, ...) changes with seed or epoch; shuffle 'train' only",
        )


@check("data", cheap=True)
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


@check("data", cheap=True)
def a_sample_is_the_same_each_time(subject: DataSubject) -> None:
    """A sample that is drawn anew depends on who read what before: no run could be repeated or resumed."""
    for split in SPLITS:
        indices = [*subject.data.order(split, subject.data.batch_size, 0, 0)[0]]
        first = _digests(subject.data, split, indices)
        again = _digests(subject.data, split, indices[::-1])[::-1]
        changed = [index for index, one, two in zip(indices, first, again, strict=True) if one != two]
        ensure(
            not changed,
            f"sample {changed[0] if changed else ''} of {split} is another when it is read again; draw it from a "
            "torch.Generator seeded by its index",
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


@check("data")
def parts_share_no_sample(subject: DataSubject) -> None:
    """A score on what was trained on is one of memory."""
    part: Any = subject.data.part("train")
    size = len(part)
    seen = _digests(subject.data, "train", list(range(max(0, size - MOST), size)))
    # Of small sequences of few symbols some are alike by chance: as many as in the training part itself; where none
    # are, fewer than 6 / n with a probability of 95 % (n^2 / 6 is the least number of sequences to draw n from).
    by_chance = 2 * (1 - len(set(seen)) / len(seen)) + 6 / len(seen)
    for split in EVALUATED:
        found = _digests(subject.data, split)
        shared = sum(digest in set(seen) for digest in found)
        ensure(
            shared <= by_chance * len(found),
            f"{shared} of {len(found)} samples of {split} are in train too; divide the data before anything else",
        )


@check("data")
def the_same_options_give_the_same_data(subject: DataSubject) -> None:
    """Every process sets the data up by itself, and a resumed run does so again."""
    again = subject.another()
    set_up(again)
    ensure(again.fingerprint == subject.data.fingerprint, "its fingerprint is another when it is set up again")
    ensure(again.spec == subject.data.spec, "its spec is another when it is set up again")
    for split in SPLITS:
        ensure(
            _digests(again, split) == _digests(subject.data, split),
            f"the samples of {split} are others when the data is set up again; seed every generator",
        )


@check("data")
def a_worker_process_loads_the_same(subject: DataSubject) -> None:
    """trainer.num_workers is about speed, and must not change a result."""
    with explained("it cannot be sent to a worker process; hold no lambda, open file or nested function"):
        copy = pickle.loads(pickle.dumps(subject.data))
    order = [*subject.data.order("train", subject.data.batch_size, 0, 0)[:2]]
    due = [_content(batch) for batch in load_batches(subject.data, "train", order, 0, False)]
    for data, workers, where in ((copy, 0, "a pickled copy"), (subject.data, 1, "a worker process")):
        found = [_content(batch) for batch in load_batches(data, "train", order, workers, False)]
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


@check("data")
def fingerprint_changes_with_the_content(subject: DataSubject) -> None:
    """A run that goes on with other data than it began with has a score of neither."""
    with _changed(subject, ("file", "seed")) as (what, other):
        if all(_digests(other, split) == _digests(subject.data, split) for split in SPLITS):
            raise DoesNotApply(f"{what} changes no sample")
        ensure(
            other.fingerprint != subject.data.fingerprint,
            f"with {what} the samples are others and the fingerprint is the same; hash what is read or drawn",
        )


@check("data")
def spec_comes_from_the_training_part(subject: DataSubject) -> None:
    """Means, scales, vocabularies and counts that have seen the test part make its score better than it is."""
    with _changed(subject, ("file",)) as (what, other):
        same = {split: _digests(other, split) == _digests(subject.data, split) for split in SPLITS}
        if not same["train"] or all(same.values()):
            raise DoesNotApply(f"{what} changes {'a training' if not same['train'] else 'no'} sample")
        for side in ("inputs", "task"):
            found, due = getattr(other.spec, side), getattr(subject.data.spec, side)
            changed = [f.name for f in fields(due) if getattr(found, f.name) != getattr(due, f.name)]
            ensure(
                not changed,
                f"with {what} no training sample changes, and spec.{side}.{changed[0] if changed else ''} does; "
                "compute it from the training part",
            )


def _order(subject: DataSubject, split: Split, size: int, seed: int, epoch: int) -> list[list[int]]:
    return [list(batch) for batch in subject.data.order(split, size, seed, epoch)]


def _content(batch: Batch) -> bytes:
    """Return the shapes and bytes of all tensors of a batch."""
    tensors = [getattr(batch, f.name) for f in fields(batch)] + [*batch.extras.values()]
    kept = [tensor for tensor in tensors if isinstance(tensor, Tensor)]
    return b"".join(repr(x.shape).encode() + x.contiguous().numpy().tobytes() for x in kept)


def _digests(data: Data, split: Split, indices: list[int] | None = None) -> list[bytes]:
    """Return a digest of each of some samples of a part, the first and the last ones unless they are given."""
    part: Any = data.part(split)
    if indices is None:
        size, half = len(part), LOOKED_AT // 2
        indices = [*range(min(size, half)), *range(max(half, size - half), size)]
    return [sha256(_content(data.collate([part[index]]))).digest() for index in indices]


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


@contextmanager
def _changed(subject: DataSubject, ways: tuple[Literal["file", "seed"], ...]) -> Iterator[tuple[str, Data]]:
    """Set up a data set with another seed, or with a copy of its last file that ends otherwise.

    Yields:
        What was changed, and the data set.
    """
    if subject.config is None:
        raise DoesNotApply("the data set was not built by name, so no second one can be")
    config = registry.check("data", subject.config)
    files = [key for key, value in config.items() if isinstance(value, str) and Path(value).is_file()]
    with TemporaryDirectory() as folder:
        if "file" in ways and files:
            key, original = files[-1], Path(config[files[-1]])
            copy = Path(folder, original.name)
            try:
                copy.write_text(_with_another_end(original.read_text("utf-8")), "utf-8")
            except UnicodeDecodeError:
                raise DoesNotApply(f"data.{key} is no text, so it cannot be changed here") from None
            config[key], what = str(copy), f"another end of data.{key}"
        elif "seed" in ways and isinstance(config.get("seed"), int):
            config["seed"], what = config["seed"] + 1, f"data.seed={config['seed'] + 1}"
        else:
            raise DoesNotApply("no option names a file" + (" or a seed" if "seed" in ways else ""))
        other = registry.build("data", config)
        try:
            set_up(other)
        except SeqkitError as error:
            raise DoesNotApply(f"with {what} it is refused: {one_line(error)}") from None
        yield what, other


def _with_another_end(text: str) -> str:
    """Return a text with other digits, or else other letters, in the last cell of its last line."""
    body = text.rstrip()
    start = max(body.rfind(","), body.rfind("\n")) + 1
    end = body[start:]
    other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 5) % 10), end)
    return body[:start] + (other if other != end else re.sub(r"\w", "~", end)) + text[len(body) :]
