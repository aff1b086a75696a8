"""Numbers as people write them: 5.3 or 5,3; 1,234.5 or 1.234,5 or 1 234,5."""

# R rows

from dataclasses import dataclass
from typing import Any, Literal

Decimal = Literal["point", "comma"]

DECIMALS: tuple[Decimal, Decimal] = ("point", "comma")
MARKS = {"point": ".", "comma": ","}
SPACES = " '\u2019\u00a0\u202f"  # that group digits whatever the decimal mark


@dataclass(frozen=True)
class Notation:
    """Patterns of numbers with one decimal mark, for whole cells.

    Attributes:
        number: Any number so written, its digits grouped or not.
        certain: Numbers that are written so with this decimal mark only: 5,3 but not 1,234.
        grouped: A number with a single group and no decimals, which with the other mark is another: 1.234.
        settled: Numbers whose digits are surely grouped by the other mark: 1.234,5 and 1.234.567.
    """

    number: str
    certain: str
    grouped: str
    settled: str


def _notation(mark: str, other: str) -> Notation:
    sign, power, groups = r"^[-+]?", r"([eE][-+]?\d+)?", r"[1-9]\d{0,2}"
    several = rf"{groups}(\{other}\d{{3}}){{2,}}"
    both = rf"{groups}(\{other}\d{{3}})+\{mark}\d*"
    spaced = rf"{groups}([{SPACES}]\d{{3}})+"
    # Without exponent three decimals after one to three digits could be a group, except after a leading 0.
    plain = rf"(0\d*|\d{{4,}})?\{mark}\d+|\d+\{mark}(\d{{0,2}}|\d{{4,}})|\d+\{mark}\d*[eE][-+]?\d+"
    return Notation(
        number=sign + rf"((\d+(\{mark}\d*)?|\{mark}\d+){power}|({groups}(\{other}\d{{3}})+|{spaced})(\{mark}\d*)?)$",
        certain=sign + rf"(({plain}){power}|{both}|{several}|{spaced}\{mark}\d*)$",
        grouped=sign + rf"{groups}\{other}\d{{3}}$",
        settled=sign + rf"({both}|{several})$",
    )


NOTATIONS = {"point": _notation(".", ","), "comma": _notation(",", ".")}


def numbers(series: Any, decimal: Decimal) -> Any:
    """Return a polars column of text as float64; null where a cell is no number with this decimal mark."""
    import polars as pl

    own, other = MARKS[decimal], MARKS["comma" if decimal == "point" else "point"]
    if decimal == "point" and not _any(series, rf"[{SPACES}{other}]"):
        return series.cast(pl.Float64, strict=False)
    # A cell of words, nan or inf stays what it is.
    written = series.str.contains(r"\d") & ~series.str.contains(NOTATIONS[decimal].number)
    plain = series.str.replace_all(rf"[{SPACES}\{other}]", "").str.replace(own, ".", literal=True)
    return plain.set(written.fill_null(False), None).cast(pl.Float64, strict=False)


def certain_row(series: Any, decimal: Decimal) -> int | None:
    """Return the first row of a polars column of text whose number can only have this decimal mark."""
    return _first(series, NOTATIONS[decimal].certain)


def ambiguous_row(series: Any, decimal: Decimal) -> int | None:
    """Return the first row whose number has one group by the other mark, as in 1,234, if no cell settles that."""
    notation = NOTATIONS[decimal]
    return None if _any(series, notation.settled) else _first(series, notation.grouped)


def is_plain(series: Any) -> bool:
    """Whether each cell of a polars column of text is a number as Python reads it."""
    import polars as pl

    return bool(series.cast(pl.Float64, strict=False).null_count() == series.null_count())


def holds_numbers(series: Any) -> bool:
    """Whether each cell of a polars column of text is a number in one of the notations."""
    either = "|".join(f"({notation.number})" for notation in NOTATIONS.values())
    return bool(series.str.contains(either).all())


def is_number(cell: str) -> bool:
    """Whether text is a number in one of the notations, or one that Python reads."""
    import polars as pl

    try:
        float(cell)
    except ValueError:
        return holds_numbers(pl.Series([cell.strip()]))
    return True


def as_each(cell: str) -> tuple[str, ...]:
    """Return what an ambiguous number is with a decimal point and with a decimal comma."""
    return tuple(
        cell.replace(MARKS["comma" if decimal == "point" else "point"], "").replace(MARKS[decimal], ".")
        for decimal in DECIMALS
    )


def _any(series: Any, pattern: str) -> bool:
    return bool(series.str.contains(pattern).any())


def _first(series: Any, pattern: str) -> int | None:
    found_R = series.str.contains(pattern).fill_null(False)
    return int(found_R.arg_max()) if found_R.any() else None
