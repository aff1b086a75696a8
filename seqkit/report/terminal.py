"""Reports for the terminal: the outcome of a run, of an evaluation, of a sweep."""

from pathlib import Path
from typing import Any

from seqkit.errors import shown
from seqkit.report.text import columns_of, indented, number


def terminal_summary(report: dict[str, Any]) -> str:
    """Return what is printed at the end of a run: metrics beside those of the baselines, a sample, the path."""
    parts = [score_table({"model": report["test"], **report["baselines"]}, "test")]
    if report["sample"]:
        parts.append(f"sample:\n{indented(report['sample'])}")
    parts.append(f"run: {shown(Path(report['run']))}  (report.md, {', '.join(report['figures'])})")
    return "\n\n".join(parts)


def score_table(scores: dict[str, dict[str, float]], split: str) -> str:
    """Return a text table, one line per predictor, one column per metric."""
    columns = columns_of(scores.values())
    return _table([split, *columns], [{split: name, **_numbers(row, columns)} for name, row in scores.items()])


def sweep_table(reports: list[dict[str, Any]]) -> str:
    """Return a text table over the jobs of a sweep: what each changed, its test scores, its run.

    Where the jobs differ in their seed, a second table gives the mean and the standard deviation over the seeds.
    """
    changed = _changed([report["overrides"] for report in reports])
    columns = columns_of(report["test"] for report in reports)
    rows = []
    for report in reports:
        words = _words(report["overrides"])
        end = {"trained": f"{report['training_seconds']:.0f} s", "run": Path(report["run"]).name}
        rows.append({**words, **_numbers(report["test"], columns), **end})
    same = all(report["baselines"] == reports[0]["baselines"] for report in reports)
    for name, scores in reports[0]["baselines"].items() if same else ():
        rows.append({changed[0]: name, **_numbers(scores, columns)})
    table = _table([*changed, *columns, "trained", "run"], rows)
    return f"{table}\n\n{_over_seeds(reports, changed, columns)}" if "seed" in changed else table


def _over_seeds(reports: list[dict[str, Any]], changed: list[str], columns: list[str]) -> str:
    """Return a text table of the scores over the seeds, one line for each choice of everything else."""
    others = [key for key in changed if key != "seed"]
    groups: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for report in reports:
        words = _words(report["overrides"])
        groups.setdefault(tuple(words.get(key, "") for key in others), []).append(report["test"])
    rows = []
    for choice, scores in groups.items():
        spreads = {name: _spread([score[name] for score in scores if name in score]) for name in columns}
        rows.append({**dict(zip(others, choice, strict=True)), "seeds": str(len(scores)), **spreads})
    return f"mean +- standard deviation over seeds\n{_table([*others, 'seeds', *columns], rows)}"


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


def _table(header: list[str], rows: list[dict[str, str]]) -> str:
    cells = [header, *([row.get(name, "") for name in header] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
