"""Small files, good and bad, and the test that a command is refused in one line."""

import io
import math
import shlex
import signal
import wave
import zipfile
from array import array
from pathlib import Path
from xml.sax.saxutils import escape

from seqkit.__main__ import run

SMALL = ["model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=x"]
TEXT = "".join(f"chapter {i} says that {i} times {i} is {i * i}\n" for i in range(60))


def hourly(changes: dict[int, str] | None = None, rows: int = 60, header: str = "date,load,heat") -> str:
    """Return a CSV text of hourly rows, some of its lines (from 1) put otherwise."""
    lines = [header]
    for hour in range(rows):
        lines.append(f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00,{math.sin(hour / 3.8):.4f},{hour % 7}")
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def stacked() -> str:
    """Return a CSV text of two series, one below the other."""
    rows = hourly().splitlines()
    return "\n".join([*rows, *rows[1:]]) + "\n"


MANY = "shop,date,sales,promo,size,region"


def many(
    changes: dict[int, str] | None = None, rows: int = 40, header: str = MANY, shops: tuple[str, ...] = ("a", "b", "c")
) -> str:
    """Return a CSV text of some shops' hourly sales, one shop below the other, some of its lines (from 1) put otherwise.

    Each shop has its own scale, and starts a day after the one before it.
    """
    lines = [header]
    for number, shop in enumerate(shops):
        for hour in range(rows):
            day, rest = divmod(hour + 24 * number, 24)
            sales, promo = 10**number * (2 + math.sin(hour / 3.8)), hour % 3 == 0
            lines.append(
                f"{shop},2024-01-{1 + day:02d} {rest:02d}:00,{sales:.4f},{promo:d},{5 + number},{'NS'[number % 2]}"
            )
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def wav(pitch: float = 300, samples: int = 1600, rate: int = 8000, level: int = 9000) -> bytes:
    """Return a WAV file of a tone of ``pitch`` Hz."""
    sound = array("h", [int(level * math.sin(i * pitch / 8000 * 6.3)) for i in range(samples)])
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())
    return buffer.getvalue()


def no_rate(data: bytes) -> bytes:
    """Return a WAV file whose header says 0 samples per second."""
    return data[:24] + bytes(4) + data[28:]


def sounds(level: int = 9000) -> dict:
    """Return the files of a folder with two classes of four recordings."""
    return {
        f"sounds/{label}/{number}.wav": wav(pitch + number, level=level)
        for label, pitch in (("low", 300), ("high", 900))
        for number in range(4)
    }


def manifest(*rows: str, header: str = "path,label") -> dict:
    """Return the same files with a manifest, whose first rows are those given."""
    rest = [f"{label}/{number}.wav,{label}" for label in ("low", "high") for number in range(1, 4)]
    return {**sounds(), "sounds/files.csv": "\n".join([header, *(rows or rest)]) + "\n"}


def xlsx(sheets: dict[str, list[list]]) -> bytes:
    """Return an Excel workbook: rows of numbers, text, None, and dates in ISO 8601 after an @."""
    kinds, document = (
        "http://schemas.openxmlformats.org/package/2006",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'

    def cell(value) -> str:
        if isinstance(value, str):
            return (
                f'<c t="d"><v>{value[1:]}</v></c>'
                if value[:1] == "@"
                else f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
            )
        return "<c/>" if value is None else f"<c><v>{value}</v></c>"

    numbered = list(enumerate(sheets, 1))
    links = "".join(
        f'<Relationship Id="r{n}" Type="{document}/worksheet" Target="worksheets/{n}.xml"/>' for n, _ in numbered
    )
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in numbered)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{kinds}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{kinds}/relationships"><Relationship Id="r" Type="{document}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{kinds}/relationships">{links}</Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{document}"><sheets>{names}</sheets></workbook>',
    }
    for number, name in numbered:
        rows = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in sheets[name])
        parts[f"xl/worksheets/{number}.xml"] = f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>"
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        for place, text in parts.items():
            file.writestr(place, text)
    return buffer.getvalue()


def folder(path: Path) -> None:
    """Make an empty folder, as a file of ``make``."""
    path.mkdir(parents=True, exist_ok=True)


def make(files: dict) -> None:
    """Make files in the current folder: of text, of bytes, or by a function of the path."""
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def command(prefix: str, words: str) -> list[str]:
    """Return the words of a command, those of the prefix that are given again left out."""
    given = shlex.split(words)
    keys = {word.partition("=")[0] for word in given}
    return [word for word in prefix.split() if word.partition("=")[0] not in keys] + given


def refused(words: list[str], fragment: str, capsys, run_started: bool = False) -> None:
    """Run a command that must be refused in one line, within a minute.

    Args:
        words: After ``seqkit``.
        fragment: Of the line.
        capsys: Of the test.
        run_started: Whether the first lines of a run, about its data, may come before.
    """
    capsys.readouterr()
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(60)  # a pipe that is opened is waited for without end
    try:
        assert run(words) == 1
    finally:
        signal.alarm(0)
    out, err = capsys.readouterr()
    *before, line = err.splitlines()
    assert line.startswith("seqkit: ")
    assert fragment in line
    assert all(early.startswith(("run ", "data ")) for early in before)
    assert run_started or not before
    assert out == ""
    assert not list(Path().glob("runs/*/*"))


def _late(number, frame):
    raise TimeoutError
