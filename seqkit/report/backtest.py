"""The tables of a backtest, and its facts as CSV and JSON."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from seqkit.report.sweep import Table
from seqkit.report.text import columns_of, csv_text, number

BEST = " *"


def backtest_tables(facts: Mapping[str, Any]) -> list[Table]:
    """Return the score that decides from each origin, and the means of all scores; the best of each is marked."""
    metric = facts["monitor"][0]
    mean, deviation = facts["mean"], facts["deviation"]
    rows = [
        {
            "origin": fold["origin"],
            **_marked({name: own.get(metric) for name, own in fold["scores"].items()}, fold["best"].get(metric)),
        }
        for fold in facts["folds"]
    ]
    over = {name: _spread(mean[name].get(metric), deviation.get(name, {}).get(metric)) for name in mean}
    best = facts["best"].get(metric)
    rows.append({"origin": "mean", **{name: text + BEST * (name == best) for name, text in over.items()}})
    first = Table(f"{metric} from each origin{BEST}", ["origin", *mean], rows)
    columns = columns_of(mean.values())
    rows = [
        {"": name}
        | {
            column: _spread(own.get(column), deviation.get(name, {}).get(column))
            + BEST * (facts["best"].get(column) == name)
            for column in columns
        }
        for name, own in mean.items()
    ]
    count = len(facts["folds"])
    return [first, Table(f"mean ± standard deviation over {count} origin{'s' * (count > 1)}", ["", *columns], rows)]


def backtest_text(facts: Mapping[str, Any]) -> str:
    """Return the tables for a terminal, within its width."""
    return "\n\n".join(table.text("in table.md") for table in backtest_tables(facts))


def backtest_markdown(facts: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    return "\n\n".join(table.markdown() for table in backtest_tables(facts)) + "\n"


def backtest_csv(facts: Mapping[str, Any]) -> str:
    """Return all scores as CSV, one line per origin and predictor."""
    lines = [(fold["origin"], name, own) for fold in facts["folds"] for name, own in fold["scores"].items()]
    nothing = float("nan")
    columns = {"origin": [origin for origin, _, _ in lines], "forecast": [name for _, name, _ in lines]}
    metrics = columns_of(own for _, _, own in lines)
    return csv_text(columns | {metric: [own.get(metric, nothing) for _, _, own in lines] for metric in metrics})


def backtest_json(facts: Mapping[str, Any]) -> str:
    """Return the facts as JSON; a score that is no finite number is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(own) for key, own in value.items()}
        if isinstance(value, list):
            return [plain(own) for own in value]
        return None if isinstance(value, float) and not isfinite(value) else value

    return json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False)


def _marked(scores: Mapping[str, float | None], best: str | None) -> dict[str, str]:
    return {name: number(score) + BEST * (name == best) for name, score in scores.items()}


def _spread(mean: float | None, deviation: float | None) -> str:
    return number(mean) if deviation is None else f"{number(mean)} ± {deviation:.2g}"
