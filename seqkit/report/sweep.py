"""The tables of a sweep: what each job changed, its scores, its run; mean and spread over the seeds."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqkit.report.comparison import mean, rank
from seqkit.report.comparison_tables import spread
from seqkit.report.text import columns_of, markdown_table, number, text_table
from seqkit.runs.listing import finite


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

    def text(self, all_in: str) -> str:
        """Return the table for a terminal; ``all_in`` as of ``text_table``."""
        table = text_table(self.header, [[row.get(name, "") for name in self.header] for row in self.rows], all_in)
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
    """Return the tables over the jobs of a sweep, best first by the validation score that decides.

    Where the jobs differ in their seed, a second table gives the mean and the standard deviation over the seeds.

    Args:
        reports: Of the finished jobs, each with its ``overrides``. Those of several tasks stay in their order.
    """
    changed = _changed([report["overrides"] for report in reports])
    reports = [{**report, "scores": _scores(report)} for report in reports]
    columns = sorted(columns_of(report["scores"] for report in reports), key=lambda name: name.startswith("test."))
    rows = []
    for report in sorted(reports, key=lambda one: _place([one], reports)):
        words = _words(report["overrides"])
        own = {"run": Path(report["run"]).name, "trained": f"{report['training_seconds']:.0f} s"}
        scores = {name: number(report["scores"].get(name)) for name in columns}
        rows.append({**own, **scores, **{key: words.get(key, "") for key in changed}})
    same = all(report["baselines"] == reports[0]["baselines"] for report in reports)
    for name, baseline in reports[0]["baselines"].items() if same else ():
        tested = {f"test.{metric}": number(score) for metric, score in baseline.items()}
        rows.append({"run": name, **tested})
    table = Table("", ["run", *_between(changed, columns), "trained"], rows)
    return [table, _over_seeds(reports, changed, columns)] if "seed" in changed else [table]


def _over_seeds(reports: list[dict[str, Any]], changed: list[str], columns: list[str]) -> Table:
    """Return a table of the scores over the seeds, one line for each choice of everything else."""
    others = [key for key in changed if key != "seed"]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for report in reports:
        words = _words(report["overrides"])
        groups.setdefault(tuple(words.get(key, "") for key in others), []).append(report)
    rows = []
    for choice, group in sorted(groups.items(), key=lambda one: _place(one[1], reports)):
        spreads = {name: spread(_each(name, group)) for name in columns}
        rows.append({**dict(zip(others, choice, strict=True)), "seeds": str(len(group)), **spreads})
    return Table("mean ± standard deviation over seeds", _between([*others, "seeds"], columns), rows)


def _between(changed: list[str], columns: list[str]) -> list[str]:
    """Return columns in the order in which they matter: the scores that decide, what was changed, the test scores."""
    deciding = [name for name in columns if not name.startswith("test.")]
    return [*deciding, *changed, *columns[len(deciding) :]]


def _scores(report: dict[str, Any]) -> dict[str, float]:
    """Return the validation score that decides, and the test scores."""
    name = report["monitor"][0]
    scores = {f"valid.{name}": report["valid"].get(name)} | {
        f"test.{name}": score for name, score in report["test"].items()
    }
    return {name: score for name, score in scores.items() if score is not None}


def _place(some: list[dict[str, Any]], reports: list[dict[str, Any]]) -> tuple[bool, float]:
    """Return a key that sorts reports by the mean of the score that decides, if it is the same one for all."""
    monitors = {tuple(report["monitor"]) for report in reports}
    monitor = monitors.pop() if len(monitors) == 1 else None
    return rank(finite(mean(_each(f"valid.{monitor[0]}", some))) if monitor else None, monitor)


def _each(name: str, reports: list[dict[str, Any]]) -> list[float]:
    return [report["scores"][name] for report in reports if name in report["scores"]]


def _words(overrides: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (override.partition("=") for override in overrides)}


def _changed(jobs: list[list[str]]) -> list[str]:
    """Return the keys whose values differ between jobs."""
    words = [_words(job) for job in jobs]
    keys = dict.fromkeys(key for job in words for key in job)
    return [key for key in keys if len({job.get(key) for job in words}) > 1] or list(keys)[:1]
