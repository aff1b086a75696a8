"""The tables of a sweep: what each job changed, its test scores, its run; mean and spread over the seeds."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqkit.report.text import columns_of, markdown_table, number, text_table


@dataclass(frozen=True)
class Table:
    """Rows of text, by column.

    Args:
        title: Line above it; may be empty.
        header: The columns.
        rows: A column that is missing in a row is empty.
    """

    title: str
    header: list[str]
    rows: list[dict[str, str]]

    def text(self) -> str:
        """Return the table for a terminal."""
        table = text_table(self.header, [[row.get(name, "") for name in self.header] for row in self.rows])
        return f"{self.title}\n{table}" if self.title else table

    def markdown(self) -> str:
        """Return the table in Markdown."""
        table = markdown_table(self.header, [[row.get(name, "") for name in self.header] for row in self.rows])
        return f"{self.title}\n\n{table}" if self.title else table

    def csv(self) -> str:
        """Return the table as CSV."""
        file = io.StringIO()
        writer = csv.DictWriter(file, self.header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return file.getvalue()


def sweep_tables(reports: list[dict[str, Any]]) -> list[Table]:
    """Return the tables over the jobs of a sweep.

    Where the jobs differ in their seed, a second table gives the mean and the standard deviation over the seeds.

    Args:
        reports: Of the finished jobs, each with its ``overrides``.
    """
    changed = _changed([report["overrides"] for report in reports])
    columns = columns_of(report["test"] for report in reports)
    rows = []
    for report in reports:
        words = _words(report["overrides"])
        end = {"trained": f"{report['training_seconds']:.0f} s", "run": Path(report["run"]).name}
        rows.append({**{key: words.get(key, "") for key in changed}, **_numbers(report["test"], columns), **end})
    same = all(report["baselines"] == reports[0]["baselines"] for report in reports)
    for name, scores in reports[0]["baselines"].items() if same else ():
        rows.append({(changed or ["run"])[0]: name, **_numbers(scores, columns)})
    table = Table("", [*changed, *columns, "trained", "run"], rows)
    return [table, _over_seeds(reports, changed, columns)] if "seed" in changed else [table]


def _over_seeds(reports: list[dict[str, Any]], changed: list[str], columns: list[str]) -> Table:
    """Return a table of the scores over the seeds, one line for each choice of everything else."""
    others = [key for key in changed if key != "seed"]
    groups: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for report in reports:
        words = _words(report["overrides"])
        groups.setdefault(tuple(words.get(key, "") for key in others), []).append(report["test"])
    rows = []
    for choice, scores in groups.items():
        spreads = {name: _spread([score[name] for score in scores if name in score]) for name in columns}
        rows.append({**dict(zip(others, choice, strict=True)), "seeds": str(len(scores)), **spreads})
    return Table("mean +- standard deviation over seeds", [*others, "seeds", *columns], rows)


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return number(values[0] if values else None)
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f"{number(mean)} +- {number(variance**0.5)}"


def _numbers(scores: dict[str, float], columns: list[str]) -> dict[str, str]:
    return {name: number(scores.get(name)) for name in columns}


def _words(overrides: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (override.partition("=") for override in overrides)}


def _changed(jobs: list[list[str]]) -> list[str]:
    """Return the keys whose values differ between jobs."""
    words = [_words(job) for job in jobs]
    keys = dict.fromkeys(key for job in words for key in job)
    return [key for key in keys if len({job.get(key) for job in words}) > 1] or list(keys)[:1]
