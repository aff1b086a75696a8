"""Reading the user's sound files, and the folder or manifest that names them."""

from dataclasses import dataclass, replace
from pathlib import Path

from seqkit.contracts.batch import Split
from seqkit.data.parts import class_folders, named_part
from seqkit.errors import DataError, nearest, shortened
from seqkit.inputs.delimited import Separator, listed, read_text_table
from seqkit.inputs.waveform.reading import unreadable
from seqkit.inputs.waveform.wav_header import wav_fault_reason

ENDINGS = (".wav", ".flac")
SHORTEST = 0.01  # seconds; nothing can be heard in less


@dataclass(frozen=True)
class Item:
    """A sound file: its target (label or transcript), its split (None: to be drawn) and where it was named."""

    path: Path
    target: str
    split: Split | None
    where: str
    rate: int = 0  # samples a second of the file
    samples: int = 0  # of the file, at its own rate


def read_folder(folder: Path) -> list[Item]:
    """Return the files of a folder with one sub-folder a class, hidden ones left out.

    Raises:
        DataError: There are no files, fewer than two classes, an empty class, or folders named as splits.
    """
    remedy = "For given splits use data.manifest=FILE.csv with columns path, label and split"
    classes = class_folders(folder, remedy)
    items = []
    for place in classes:
        paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in ENDINGS and path.name[0] != ".")
        for path in paths:
            if not path.is_file():  # a pipe, which would be waited for without end
                raise DataError(f"{path}: is not a regular file. Expected a WAV or FLAC file")
        if not paths and len(classes) > 1:
            raise DataError(f"{place}: no WAV or FLAC file in it; each sub-folder is a class and needs some")
        items += [Item(path, place.name, None, str(path)) for path in paths]
    if not items:
        raise DataError(f"{folder}: no WAV or FLAC files; expected one sub-folder of them for each class")
    return items


def read_manifest(path: Path, separator: Separator | None = None) -> tuple[str, list[Item]]:
    """Return ``label`` or ``transcript``, whichever the manifest gives, and its files.

    Raises:
        DataError: A column, a value or a file is missing or cannot be used; the message names the line.
    """
    table = read_text_table(path, separator)
    if any(name.lower().endswith(ENDINGS) for name in table.names):
        raise DataError(f"{path}: no header line. Expected path and label or transcript in line 1")
    header = table.names
    table.require("path")
    kinds = [name for name in ("label", "transcript") if name in header]
    if not kinds:
        hint = nearest("label", header) or nearest("transcript", header)
        raise DataError(f"{path}: no column 'label' or 'transcript'. {hint}Columns: {listed(header)}")
    if len(kinds) == 2:
        raise DataError(f"{path}: has both 'label' and 'transcript'; keep the one to be learned")
    items: list[Item] = []
    seen: dict[Path, str] = {}
    for where, row in table:
        for name in ("path", kinds[0], *(["split"] if "split" in header else [])):
            if not row[name]:
                raise DataError(f"{where}: no value for '{name}'")
        split = named_part(row["split"], where) if "split" in header else None
        place = path.parent / Path(row["path"]).expanduser()
        if not place.is_file():
            raise DataError(f"{where}: no file {shortened(place, 300)}; paths are relative to the manifest")
        if place.resolve() in seen:
            raise DataError(
                f"{where}: {shortened(row['path'])} was already named in {seen[place.resolve()].rpartition(', ')[2]}"
            )
        seen[place.resolve()] = where
        items.append(Item(place, row[kinds[0]], split, where))
    if not items:
        raise DataError(f"{path}: has no rows; expected a header with path and label or transcript, then a row a file")
    return kinds[0], items


def with_header(item: Item) -> Item:
    """Return the item with the rate and number of samples that its file's header gives."""
    import soundfile

    try:
        fault = wav_fault_reason(item.path)
        if fault:
            raise DataError(f"{item.path}: {fault}")
        info = soundfile.info(item.path)
    except (soundfile.SoundFileError, OSError) as error:
        raise unreadable(item.path, error) from None
    if info.frames == 0:
        raise DataError(f"{item.path}: holds no sound")
    if info.frames < SHORTEST * info.samplerate:
        raise DataError(
            f"{item.path}: too short, {info.frames} samples at {info.samplerate} Hz; at least {SHORTEST} s is expected"
        )
    return replace(item, rate=info.samplerate, samples=info.frames)
