"""Tables of text: CSV and TSV with whichever separator, JSON lines, Parquet, Excel; row by row, with their places."""

import csv
import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, get_args

from seqkit.errors import ConfigError, DataError, nearest, shortened

Separator = Literal["comma", "semicolon", "tab", "pipe"]

MARKS: dict[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
FILE = "a CSV, TSV, JSONL, Parquet or Excel file"
EXCEL = (".xlsx", ".xlsm", ".xlsb")
PARQUET = (".parquet", ".pq")
LINES = (".jsonl", ".ndjson")
TRIED = 100  # rows by which the separator is found
JSON = re.compile(rb'(\[\s*)?\{\s*("|$)|\[\s*$')
START = 100_000  # characters of the first line that are looked at

FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; name it with the ending .xlsx, or save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save its sheet as CSV",
    b"PAR1": "a Parquet file; name it with the ending .parquet",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x89HDF": "an HDF5 file; save its table as CSV or Parquet",
    b"SQLite f": "an SQLite database; save its table as CSV or Parquet",
}


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are text; each iteration reads the file anew, row by row.

    Attributes:
        path: Of the file.
        names: Of its columns.
        separator: Of a delimited file; None for the other formats.
        encoding: Of a text file; None is UTF-8, and no other can be asked for.
    """

    path: Path
    names: tuple[str, ...]
    separator: Separator | None
    encoding: str | None = None

    def __iter__(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield for each row its place in words, "FILE, line 7", and its cells by column, "" where empty.

        Raises:
            DataError: A row has other cells than the header, or is no text; the message names its line.
        """
        if self.separator:
            return _delimited_rows(self)
        if self.path.suffix in LINES:
            return _json_rows(self.path, self.names, self.encoding)
        return _frame_rows(self.path, self.names)

    def require(self, *columns: str | None) -> None:
        """Refuse the table if it has not these columns; None is passed over."""
        for name in columns:
            if name is not None and name not in self.names:
                raise no_column(self.path, name, self.names)

    @property
    def fact(self) -> str:
        """How the file was read, in words."""
        return f"separated by {self.separator}" if self.separator else self.path.suffix.removeprefix(".")


def read_text_table(path: Path, separator: Separator | None = None, encoding: str | None = None) -> TextTable:
    """Open a table of text.

    Args:
        path: A delimited file with a header line (also gzipped), or .jsonl with an object per line, .parquet, .xlsx.
        separator: Of a delimited file; found by its first lines if not given.
        encoding: Of a text file, one that keeps ASCII as it is; None is UTF-8, and no other can be asked for.

    Raises:
        DataError: The file is of another format, has no header, names a column twice, or could be separated by several.
    """
    if path.suffix in LINES:
        first = next(_json_rows(path, None, encoding), None)
        if first is None:
            raise DataError(f"{path}: is empty. Expected a JSON object per line")
        return TextTable(path, tuple(first[1]), None, encoding)
    if path.suffix in PARQUET + EXCEL:
        return TextTable(path, tuple(read_frame(path).columns), None)
    found = find_separator(path, separator, encoding)
    header = next(_records(path, MARKS[found], encoding), None)
    if header is None:
        raise DataError(f"{path}: is empty. Expected a header line with the names of the columns")
    names = tuple(name.strip() for name in header[1])
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: column '{shortened(twice)}' is there twice. Expected one each")
    return TextTable(path, names, found, encoding)


def find_separator(path: Path, given: Separator | None = None, encoding: str | None = None) -> Separator:
    """Return the separator of a delimited file: as given, or the one that its header has and its rows agree with.

    Raises:
        DataError: The file is no delimited text, or several separators divide it evenly.
    """
    refuse_other_formats(path)
    try:
        with _opened(path) as file:
            line = file.readline(START).decode("utf-8-sig", "replace")
    except (OSError, EOFError):  # reading it will say so
        line = ""
    names = re.sub(r'"[^"]*"', "", line)
    there = [name for name in get_args(Separator) if MARKS[name] in names]
    if given is not None:
        if there and given not in there:
            raise DataError(
                f"{path}, line 1: no {given} in it, as data.separator={given} asks for, but a {there[0]}. "
                f"Expected data.separator={there[0]}"
            )
        return given
    if len(there) > 1:
        there = [name for name in there if _divides(path, MARKS[name], encoding)] or there
    if len(there) > 1:
        tried = " or ".join(f"data.separator={name}" for name in there)
        raise DataError(f"{path}, line 1: its cells may be separated by {' or '.join(there)}. Say {tried}")
    return there[0] if there else "comma"


def refuse_other_formats(path: Path) -> None:
    """Refuse a file that is no delimited text by its first bytes; raises ``DataError``, which names the format."""
    try:
        with _opened(path) as file:
            line = file.readline(START)
    except (OSError, EOFError):  # reading it will say so
        return
    for magic, name in FORMATS.items():
        if line.startswith(magic):
            raise DataError(f"{path}: is {name}. Expected a CSV file")
    if JSON.match(line):
        raise DataError(f"{path}: is JSON. Expected a CSV file, or of texts one with an object per line, named .jsonl")
    if b"\0" in line:
        raise DataError(f"{path}, line 1: holds NUL bytes, so it is no UTF-8 text. Expected a CSV file")


def first_bad_line(path: Path, mark: str, encoding: str | None = None) -> tuple[int, str] | None:
    """Return the number of the first line that is no text or has more cells than the header, and its fault."""
    number = 0
    try:
        with _opened(path) as file:
            width = 0  # cells of the header
            for number, line in enumerate(file, 1):
                cells = next(csv.reader([line.decode(codec(encoding))], delimiter=mark), [])
                width = width or len(cells)
                if len(cells) > width:
                    what = f"{len(cells)} cells, the header has {width}"
                    return number, f"{what}; a {_name(mark)} inside a cell needs quotes"
    except UnicodeDecodeError:
        return number, no_text_reason(encoding)
    except (OSError, EOFError, csv.Error):
        pass
    return None


def codec(encoding: str | None) -> str:
    """Return the name by which Python decodes; of UTF-8 a byte order mark is left out."""
    return "utf-8-sig" if encoding in (None, "utf-8") else encoding


def no_text_reason(encoding: str | None) -> str:
    """Return why bytes are no text in an encoding, and what helps."""
    if encoding is None:
        return "is not UTF-8. Save the file as UTF-8"
    return f"is not {encoding}. Give its encoding, as data.encoding=cp1252 (Windows) or latin-1, or save it as UTF-8"


def read_frame(path: Path) -> Any:
    """Return the polars frame of a Parquet file or of the only sheet of an Excel workbook, with its own types.

    Raises:
        DataError: It cannot be read, or has several sheets.
        ConfigError: Excel is not installed.
    """
    import polars as pl

    if path.suffix in PARQUET:
        try:
            return pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {first_line(error)}") from None
    if find_spec("fastexcel") is None:
        raise ConfigError(
            f"{path}: reading Excel needs fastexcel; pip install 'seqkit[excel]', or save the sheet as CSV"
        )
    import fastexcel

    try:
        sheets = fastexcel.read_excel(path).sheet_names
        if len(sheets) == 1:
            return pl.read_excel(path, engine="calamine", infer_schema_length=None, drop_empty_cols=False)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Excel: {first_line(error)}") from None
    raise DataError(f"{path}: has sheets {listed(sheets)}. Expected one; save the sheet to read in a file of its own")


class ColumnError(DataError):
    """A column that a table does not have."""

    column: str


def no_column(path: Path, column: str, names: Sequence[str]) -> ColumnError:
    """Build the refusal of a column that is not among the names of a table's columns."""
    error = ColumnError(f"{path}: no column '{shortened(column)}'. {nearest(column, names)}Columns: {listed(names)}")
    error.column = column
    return error


def listed(names: Iterable[str]) -> str:
    """Return names as a message lists them, the first fifty."""
    names = list(names)
    return ", ".join(shortened(name) for name in names[:50]) + (", ..." if len(names) > 50 else "")


def _delimited_rows(table: TextTable) -> Iterator[tuple[str, dict[str, str]]]:
    assert table.separator
    for line, cells in islice(_records(table.path, MARKS[table.separator], table.encoding), 1, None):
        if len(cells) != len(table.names):
            more = f"; a {table.separator} inside a cell needs quotes" if len(cells) > len(table.names) else ""
            raise DataError(
                f"{table.path}, line {line}: {len(cells)} values, expected {len(table.names)} as in the header{more}"
            )
        yield f"{table.path}, line {line}", dict(zip(table.names, (cell.strip() for cell in cells), strict=True))


def _records(path: Path, mark: str, encoding: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a delimited file that are not blank, each with the number of its first line."""
    csv.field_size_limit(sys.maxsize >> 32)  # a cell may be a whole text
    reader = None
    try:
        with (
            gzip.open(path, "rt", encoding=codec(encoding), newline="")
            if _is_gzip(path)
            else path.open(encoding=codec(encoding), newline="") as file
        ):
            reader = csv.reader(file, delimiter=mark, skipinitialspace=mark != "\t", strict=True)
            line = 1
            for record in reader:
                if any("\0" in cell for cell in record):
                    raise DataError(f"{path}, line {line}: holds NUL bytes, so it is no UTF-8 text")
                if any(cell and not cell.isspace() for cell in record):
                    yield line, record
                line = reader.line_num + 1
    except csv.Error as error:
        fault = str(error)
        if "unexpected end" in fault:
            fault = 'a quote that opens here is never closed. Write " inside a quoted cell as ""'
        elif "expected after" in fault:
            fault = 'text after a closing quote. Quote the whole cell, and write " inside it as ""'
        raise DataError(f"{path}, line {line}: {fault}") from None
    except UnicodeDecodeError:
        bad = first_bad_line(path, mark, encoding)
        raise DataError(f"{path}, line {bad[0] if bad else '?'}: {no_text_reason(encoding)}") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from None


def _json_rows(path: Path, names: Sequence[str] | None, encoding: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                where = f"{path}, line {number}"
                try:
                    text = line.decode(codec(encoding)).rstrip("\r\n")
                    row = json.loads(text) if text.strip() else None
                except UnicodeDecodeError:
                    raise DataError(f"{where}: {no_text_reason(encoding)}") from None
                except json.JSONDecodeError as error:
                    raise DataError(f"{where}: is not JSON ({error.msg} at column {error.colno})") from None
                if row is None and not text.strip():
                    continue
                if not isinstance(row, dict):
                    raise DataError(
                        f'{where}: holds {shortened(text.strip())}. Expected one object {{"name": value}} per line'
                    )
                cells = {str(name): _cell(value) for name, value in row.items()}
                yield where, {name: cells.get(name, "") for name in names} if names else cells
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from None


def _frame_rows(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    first = 2 if path.suffix in EXCEL else 1
    for number, row in enumerate(read_frame(path).iter_rows(), first):
        yield f"{path}, row {number}", {name: _cell(value) for name, value in zip(names, row, strict=True)}


def _cell(value: Any) -> str:
    """Return a typed cell as text; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # Excel keeps whole numbers as floats
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | int | float | list | dict) else str(value)


def _divides(path: Path, mark: str, encoding: str | None) -> bool:
    """Whether the first rows have as many cells as the header if they are separated so."""
    try:
        widths = {len(cells) for _, cells in islice(_records(path, mark, encoding), TRIED)}
    except DataError:
        return False
    return len(widths) == 1


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if _is_gzip(path) else path.open("rb")  # type: ignore[return-value]


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _name(mark: str) -> str:
    return next(name for name, other in MARKS.items() if other == mark)


def first_line(error: Exception) -> str:
    """Return the first line of another library's message."""
    return shortened(str(error).partition("\n")[0], 200)
