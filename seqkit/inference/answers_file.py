"""Answers as the rows of a CSV, JSONL or Parquet file, written as they come."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.evaluation import rounded
from seqkit.files import atomic, existing_folder

ENDINGS = (".csv", ".jsonl", ".parquet")


def write_answers(answers: Iterable[tuple[str, dict[str, Any]]], spec: DataSpec, path: Path) -> int:
    """Write the rows of answers, each after its id; numbers to six digits, which no batching changes.

    Args:
        answers: Ids and answers of the task, taken one after another.
        spec: Of the data.
        path: Of a .csv, .jsonl or .parquet file, which is there only when all is written.

    Returns:
        How many answers were written.

    Raises:
        ConfigError: The name ends otherwise, or the task's answers have no rows.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{path}: expected a name that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    if not hasattr(spec.task, "rows"):
        raise ConfigError(f"answers of {type(spec.task).__name__} have no rows; leave --output out, or take --json")
    existing_folder(path.parent, "a folder to write to")
    count = 0

    def rows() -> Iterable[dict[str, Any]]:
        nonlocal count
        for id, answer in answers:
            count += 1
            for row in spec.task.rows(answer):
                yield {"id": id, **{name: _plain(value) for name, value in row.items()}}

    with atomic(path) as file:
        if path.suffix == ".csv":
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            writer = None
            for row in rows():
                if writer is None:
                    writer = csv.DictWriter(text, list(row), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(row)
            text.detach()
        elif path.suffix == ".jsonl":
            for row in rows():
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        else:
            _write_parquet(rows(), Path(file.name))
    return count


def _write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write rows by way of JSON lines beside the file, which polars reads and writes in pieces."""
    import polars as pl

    lines = path.with_name(f"{path.name}.jsonl.tmp")
    try:
        with lines.open("wb") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        if lines.stat().st_size:
            pl.scan_ndjson(lines, infer_schema_length=None).sink_parquet(path)
        else:
            pl.DataFrame({"id": pl.Series([], dtype=pl.String)}).write_parquet(path)
    finally:
        lines.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    return rounded(value) if isinstance(value, float) else value
