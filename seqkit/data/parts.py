"""Training, validation and test parts: given by files, by folders or by a column, or drawn; and their classes."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from seqkit.contracts.batch import EVALUATED, SPLITS, Split
from seqkit.errors import ConfigError, DataError, nearest, shortened
from seqkit.files import existing
from seqkit.tasks.classify.spec import Classes

LOG = logging.getLogger("seqkit")
ALIASES: dict[str, Split] = {"dev": "valid", "val": "valid", "validation": "valid"}
Fraction = Annotated[float, Field(gt=0, lt=1)]


def named_places(
    name: str, path: str | None, train: str | None, valid: str | None, test: str | None, expected: str
) -> list[tuple[Split | None, Path]]:
    """Return the files or folders of a data set, each with its part: ``path`` alone, of None, or one per part.

    Raises:
        ConfigError: Both or neither of ``path`` and ``train`` are given, or a place twice.
        DataError: One is not there.
    """
    if path is not None and (train or valid or test):
        raise ConfigError(f"data={name} takes data.path or data.train, data.valid and data.test, not both")
    if path is None and train is None:
        raise ConfigError(
            f"data={name} needs data.path=FILE, or data.train=FILE and what there is of data.valid, data.test"
        )
    if path is not None:
        return [(None, existing(path, expected))]
    given: list[tuple[Split, str | None]] = [("train", train), ("valid", valid), ("test", test)]
    places = [(split, existing(place, expected)) for split, place in given if place is not None]
    for number, (split, place) in enumerate(places):
        for other, before in places[:number]:
            if place.resolve() == before.resolve():
                raise ConfigError(f"data.{split}={place}: is data.{other} too. Expected another")
    return [*places]


def check_fractions(valid: float, test: float) -> dict[Split, float]:
    """Return the fractions by part; raises ``ConfigError`` where they leave no training part."""
    if valid + test >= 1:
        raise ConfigError(f"data.valid_fraction={valid:g} and data.test_fraction={test:g} leave nothing to train on")
    return {"valid": valid, "test": test}


def named_part(name: str, where: str) -> Split:
    """Return the part that a cell names; raises ``DataError``."""
    for split in SPLITS:
        if ALIASES.get(name, name) == split:
            return split
    known = ", ".join((*SPLITS, *ALIASES))
    raise DataError(f"{where}: split '{shortened(name)}' is not known. {nearest(name, SPLITS)}Known: {known}")


def class_folders(folder: Path, remedy: str) -> list[Path]:
    """Return the sub-folders of a folder, one per class, hidden ones left out.

    Args:
        folder: Of the data.
        remedy: How parts are given instead, as a sentence.

    Raises:
        DataError: One is named as the training part.
    """
    places = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    parts = [place.name for place in places if place.name in (*SPLITS, *ALIASES)]
    if "train" in parts:
        raise DataError(f"{folder}: has folders {', '.join(parts)}; sub-folders are classes. {remedy}")
    return places


def classes(labels: Mapping[Split, Iterable[tuple[str, str]]], what: str, origin: object) -> Classes:
    """Return the task: the classes of the training part.

    Classes that differ in case only, and those on no sample of the test part, are said in a warning.

    Args:
        labels: Of each part: the label of each sample, and where that stands.
        what: A sample: "text".
        origin: Of the data, for the message.

    Raises:
        DataError: Another part has a class that it has not, or there are fewer than two.
    """
    counts = Counter(label for label, _ in labels["train"])
    tested = set()
    for split in EVALUATED:
        for label, where in labels[split]:
            if split == "test":
                tested.add(label)
            if label not in counts:
                near = nearest(label, counts).rstrip()
                raise DataError(
                    f"{where}: label '{shortened(label)}' of the {split} part is on no training {what}"
                    + (f". {near}" if near else "")
                )
    if len(counts) < 2:
        raise DataError(
            f"{origin}: all {what}s are of one class, '{shortened(next(iter(counts)))}'; at least two are needed"
        )
    names = tuple(sorted(counts))
    first: dict[str, str] = {}
    alike = [(other, name) for name in names if (other := first.setdefault(name.casefold(), name)) != name]
    if alike:
        pairs = _some([f"'{shortened(other)}' and '{shortened(name)}'" for other, name in alike])
        LOG.warning("%s: labels that differ in case only are classes of their own: %s", origin, pairs)
    untested = [f"'{shortened(name)}'" for name in names if name not in tested]
    if untested:
        LOG.warning(
            "%s: no %s of the test part has the label %s; the test scores say nothing of it",
            origin, what, _some(untested),
        )  # fmt: skip
    return Classes(names, tuple(counts[name] for name in names))


def _some(said: Sequence[str]) -> str:
    """Return the first three, and how many more there are."""
    return ", ".join(said[:3]) + (f" and {len(said) - 3:,} more" if len(said) > 3 else "")


def draw_parts(
    given: Sequence[Split | None],
    groups: Sequence[str],
    fractions: Mapping[Split, float],
    draw: torch.Generator,
    origin: object,
    what: str,
) -> list[Split]:
    """Return the part of each sample.

    Args:
        given: Their parts so far; those without one, and those of the training part, are drawn from.
        groups: Group of each sample, of which each part gets an even proportion: the class, say.
        fractions: Of the parts to be drawn. Each gets at least one sample of each group, but never its last one.
        draw: Generator of the draw.
        origin: Of the data, for the message.
        what: The samples: "texts".

    Raises:
        DataError: They are too few for one of the parts.
    """
    members = defaultdict(list)
    for index, (part, group) in enumerate(zip(given, groups, strict=True)):
        if part in (None, "train"):
            members[group].append(index)
    parts: list[Split] = [part or "train" for part in given]
    for group in sorted(members):
        order = [members[group][i] for i in torch.randperm(len(members[group]), generator=draw).tolist()]
        for part, fraction in fractions.items():
            for _ in range(min(max(1, round(fraction * len(members[group]))), len(order) - 1)):
                parts[order.pop()] = part
    if not parts:
        raise DataError(f"{origin}: has no {what}")
    for part in fractions:
        if part not in parts:
            raise DataError(f"{origin}: {len(given)} {what} are too few to draw a {part} part")
    return parts
