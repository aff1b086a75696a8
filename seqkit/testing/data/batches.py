"""Batches: how samples are put together, and what the spec says of them."""

from dataclasses import fields

import torch
from torch import Tensor

from seqkit.contracts.batch import EVALUATED, SPLITS, Batch, Split
from seqkit.testing.check import check, ensure, explained
from seqkit.testing.data.subject import DataSubject, digests


@check("data", cheap=True, basic=True)
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
                torch.equal(whole.inputs[row, :steps].nan_to_num(), alone.inputs[0, :steps].nan_to_num()),
                f"row {row} of a batch of {split} has other inputs than the sample alone; pad at the end",
            )


@check("data", cheap=True)
def batches_are_what_the_spec_says(subject: DataSubject) -> None:
    """Frontend and head are built from the spec, before any batch is seen."""
    spec = subject.data.spec
    network = subject.get_network(subject.data)
    device = next(network.parameters()).device
    example = spec.inputs.example(1, spec.inputs.example_steps, torch.Generator().manual_seed(0))
    for split in SPLITS:
        batch = subject.first_batch(split)
        found, due = (
            f"{x.dtype} of shape (B, T{''.join(f', {n}' for n in x.shape[2:])})" for x in (batch.inputs, example)
        )
        ensure(found == due, f"inputs of {split} are {found}; {type(spec.inputs).__name__} says {due}")
        remedy = f"so a batch of {split} has no loss; its values must be those that spec says"
        batch = batch.to(device)
        with torch.no_grad(), explained(remedy):
            outputs, lengths, _ = network(batch)
            total, _ = network.head.loss(outputs, lengths, batch)
        ensure(
            bool(torch.isfinite(total)),
            f"a batch of {split} has a loss of {float(total):g} before any training; look for NaN, inf or huge values",
        )


@check("data", cheap=True)
def an_evaluated_sample_is_the_same_each_time(subject: DataSubject) -> None:
    """A sample of validation or test that is drawn anew gives another score each time."""
    _require_same_samples(subject, EVALUATED)


@check("data")
def a_training_sample_is_the_same_each_time(subject: DataSubject) -> None:
    """A sample that is drawn anew depends on which process read what before: worker processes change the run."""
    _require_same_samples(subject, ("train",))


def _require_same_samples(subject: DataSubject, splits: tuple[Split, ...]) -> None:
    for split in splits:
        indices = subject.first_indices(split)
        first = digests(subject.data, split, indices)
        again = digests(subject.data, split, indices[::-1])[::-1]
        changed = [index for index, one, two in zip(indices, first, again, strict=True) if one != two]
        ensure(
            not changed,
            f"sample {changed[0] if changed else ''} of {split} is another when it is read again; draw it from a "
            "torch.Generator seeded by its index",
        )
