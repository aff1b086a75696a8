"""A data set whose file or seed is changed: what must follow, and what must not."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from seqkit import registry
from seqkit.contracts.batch import SPLITS
from seqkit.contracts.components import Data
from seqkit.data.loading import set_up
from seqkit.errors import SeqkitError, one_line
from seqkit.testing.check import DoesNotApply, check, ensure
from seqkit.testing.data.subject import DataSubject, digests


@check("data")
def fingerprint_changes_with_the_content(subject: DataSubject) -> None:
    """A run that goes on with other data than it began with has a score of neither."""
    with _changed(subject, ("file", "seed")) as (what, other):
        if all(digests(other, split) == digests(subject.data, split) for split in SPLITS):
            raise DoesNotApply(f"{what} changes no sample")
        ensure(
            other.fingerprint != subject.data.fingerprint,
            f"with {what} the samples are others and the fingerprint is the same; hash what is read or drawn",
        )


@check("data")
def spec_comes_from_the_training_part(subject: DataSubject) -> None:
    """Means, scales, vocabularies and counts that have seen the test part make its score better than it is."""
    with _changed(subject, ("file",)) as (what, other):
        same = {split: digests(other, split) == digests(subject.data, split) for split in SPLITS}
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
                copy.write_text(with_another_end(original.read_text("utf-8")), "utf-8")
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


def with_another_end(text: str) -> str:
    """Return a text with other digits, or else other letters, in the last cell of its last line."""
    body = text.rstrip()
    start = max(body.rfind(","), body.rfind("\n")) + 1
    end = body[start:]
    other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 5) % 10), end)
    return body[:start] + (other if other != end else re.sub(r"\w", "~", end)) + text[len(body) :]
