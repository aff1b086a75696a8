"""A comparison of runs as tables for the terminal, and as CSV."""

import csv
import io
import sys
from typing import Any

from seqkit.report.comparison import SAME_DATA, Comparison, Seeds, deviation, differing, mean
from seqkit.report.tables import print_table, steps, table, value
from seqkit.report.text import columns_of, number
from seqkit.runs.listing import Listed

DIRECTION = {"min": "lower is better", "max": "higher is better"}


def print_comparisons(comparisons: list[Comparison]) -> None:
    """Print each group of runs that can be ranked together: the runs, the baselines, the means over seeds."""
    if len(comparisons) > 1:
        print(f"{len(comparisons)} rankings: task, data or deciding score differ between them\n")
    for title, comparison in zip(titles(comparisons), comparisons, strict=True):
        print(title)
        _print_runs(comparison)
        if any(len(group.scores) > 1 for group in comparison.groups):
            print("over the seeds of finished runs")
            _print_seeds(comparison)
        for group in comparison.groups:
            for label in group.repeated:
                print(f"seqkit: {label} repeats a seed, which counts once in the mean", file=sys.stderr)


def titles(comparisons: list[Comparison]) -> list[str]:
    """Return a title per group: task, data, whatever of the data differs between the groups, number of runs."""
    names = differing([one.runs[0] for one in comparisons])
    data = [name for name in names if name.startswith("data.") and name not in SAME_DATA]
    found = []
    for one in comparisons:
        first = one.runs[0]
        chosen = "".join(f", {name}={value(first.options[name])}" for name in data if name in first.options)
        found.append(f"{one.task or 'no task yet'} on {value(first.options.get('data'))}{chosen}")
    for number_of, (title, one) in enumerate(zip(found.copy(), comparisons, strict=True)):
        if found.count(title) > 1 or title != found[number_of]:
            found[number_of] = f"{title}, data {one.runs[0].fingerprint[:12] or 'not read yet'}"
    ends = [
        f"{len(one.runs)} run{'s' * (len(one.runs) > 1)}"
        + (f" by validation {one.monitor[0]}, {DIRECTION[one.monitor[1]]}" if one.monitor else ", no score yet")
        for one in comparisons
    ]
    return [f"{title}: {end}" for title, end in zip(found, ends, strict=True)]


def _print_runs(comparison: Comparison) -> None:
    valid, test = _columns(comparison)
    options, runs = comparison.options, comparison.runs
    labels = labels_of(runs)
    rows = [
        {
            "run": labels[run.label],
            **_words(run, options),
            valid: number(run.score),
            test: number(run.test.get(test.removeprefix("test."))),
            "steps": steps(run),
            "state": run.state,
        }
        for run in runs
    ]
    rows += [
        {"run": name, test: number(scores.get(test.removeprefix("test.")))}
        for name, scores in comparison.baselines.items()
    ]
    state = ["state"] * any(run.state != "finished" for run in runs)
    print_table(table(["run", *options, valid, test, "steps", *state], rows, ["run", *options]))


def _print_seeds(comparison: Comparison) -> None:
    valid, test = _columns(comparison)
    options = [name for name in comparison.options if name != "seed"]
    rows = [
        {
            **_words(group.runs[0], options),
            "seeds": str(len(group.scores)),
            valid: spread(group.scores),
            "min": number(min(group.scores, default=None)),
            "max": number(max(group.scores, default=None)),
            test: spread(group.test),
        }
        for group in comparison.groups
    ]
    print_table(table([*options, "seeds", valid, "min", "max", test], rows, options))


def _columns(comparison: Comparison) -> tuple[str, str]:
    """Return the names of the columns of the deciding score, in validation and in test."""
    score = comparison.monitor[0] if comparison.monitor else "score"
    return f"valid.{score}", f"test.{score}"


def labels_of(runs: list[Listed]) -> dict[str, str]:
    """Return what to call each run: its ID where all have one NAME, else NAME/ID."""
    names = {run.label.partition("/")[0] for run in runs}
    return {run.label: run.label.partition("/")[2] if len(names) == 1 else run.label for run in runs}


def csv_text(comparisons: list[Comparison]) -> str:
    """Return one line per run: its ranking, its options that differ in any ranking, its scores."""
    runs = [run for one in comparisons for run in one.runs]
    options = differing(runs)
    columns = columns_of(run.test for run in runs)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    head = ["ranking", "run", "state", "task", *options, "steps", "monitor", "direction", "valid", "best_step"]
    writer.writerow([*head, *(f"test/{name}" for name in columns)])
    for ranking, comparison in enumerate(comparisons, 1):
        for run in comparison.runs:
            monitor = run.monitor or ("", "")
            chosen = [value(run.options[name]) if name in run.options else "" for name in options]
            scores = [run.score, run.best_step, *(run.test.get(name) for name in columns)]
            writer.writerow([ranking, run.run.path, run.state, run.task, *chosen, run.steps, *monitor, *scores])
    return text.getvalue()


def spread(values: list[float]) -> str:
    """Return mean and standard deviation."""
    around = deviation(values)
    return f"{number(mean(values))} ± {around:.2g}" if around is not None else number(mean(values))


def name_of(group: Seeds, options: list[str]) -> str:
    """Return the options that tell a group from the others, the seed left out, and the number of its runs."""
    words = {name: value(group.runs[0].options[name]) for name in options if name in group.runs[0].options}
    chosen = ", ".join(f"{name}={text}" for name, text in words.items() if name != "seed") or group.runs[0].label
    return chosen if len(group.runs) == 1 else f"{chosen} ({len(group.runs)} seeds)"


def _words(run: Listed, options: list[str]) -> dict[str, Any]:
    return {name: value(run.options[name]) if name in run.options else "-" for name in options}
