"""A backtest: forecasts from several origins in the past, by networks that were trained on what lies before them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch

from seqkit.config import Config
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.data.folds import Origin
from seqkit.data.loading import set_up
from seqkit.errors import ConfigError
from seqkit.evaluation import MODEL, NetworkPredictor, Scores, evaluate, on_cpu, rounded
from seqkit.files import disk_reason, write_atomic
from seqkit.registry import build
from seqkit.report.backtest import backtest_csv, backtest_json, backtest_markdown
from seqkit.report.figures import save
from seqkit.runs.refusals import reading_of_data
from seqkit.runs.sweep import Ledger
from seqkit.trained import Trained, load

SHOWN = 4
"""Series in the figure."""


@dataclass(frozen=True)
class Fold:
    """Forecasts from one origin and their scores.

    Attributes:
        run: Folder of the network's run.
        origins: Of each window.
        scores: Of the network and of every baseline.
        drawn: Places of the windows that the figure shows.
        batch: These windows.
        prediction: Of the network, for these.
        beside: Of every baseline, likewise.
    """

    run: Path
    origins: Sequence[Origin]
    scores: Mapping[str, Scores]
    drawn: Sequence[int]
    batch: Batch
    prediction: Any
    beside: Mapping[str, Any]

    @property
    def time(self) -> str:
        """Time of the origin; the first and the last one of series that have different ones."""
        times = sorted({origin.time for origin in self.origins}, key=lambda time: (len(time), time))
        return times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"


def refuse_if_no_forecast(config: Config, origins: int, window: int | None = None) -> None:
    """Refuse data that cannot be read, or be cut at so many origins, before any training; raises as they do.

    Args:
        config: Of the trainings.
        origins: How many.
        window: As of ``trainings``.
    """
    options = config["data"]
    if "fold" not in options:
        raise ConfigError(
            f"backtest needs a series to forecast, such as data=series_table reads; data={options['name']} has no "
            "data.fold to be cut by"
        )
    if options["fold"] is not None:
        raise ConfigError("data.fold is what backtest sets; leave it out")
    with reading_of_data():
        data: Any = build("data", {**options, **({"train_rows": window} if window else {}), "fold": [0, origins]})
        set_up(data)
        refuse_if_not_made_for_it(data, options["name"])
        for fold in range(1, origins):
            data.in_fold(fold)


def refuse_if_not_made_for_it(data: Any, name: str) -> None:
    """Refuse data, or a task, that has not what a backtest asks of it; raises ``ConfigError``."""
    asked = [(data, "in_fold"), (data, "origins"), (data.spec.task, "best"), (data.spec.task, "backtest_figure")]
    for part, needed in asked:
        if not hasattr(part, needed):
            raise ConfigError(f"backtest: {type(part).__name__} of data={name} has no '{needed}'; see docs/plugins.md")


def trainings(overrides: Sequence[str], origins: int, refit: bool, window: int | None) -> list[tuple[int, list[str]]]:
    """Return the trainings of a backtest, a number and overrides each.

    Args:
        overrides: As typed.
        origins: How many.
        refit: Whether there is a training for each origin, and not one before the first.
        window: Rows that each is trained on; None for all before the validation part.
    """
    rolling = [f"data.train_rows={window}"] if window else []
    return [(fold, [*overrides, *rolling, f"data.fold=[{fold},{origins}]"]) for fold in range(origins if refit else 1)]


def backtest(runs: Sequence[Path], origins: int, ledger: Ledger, device: str = "auto") -> dict[str, Any]:
    """Forecast from every origin, write tables, facts and figure into the folder of the trainings, return the facts.

    Args:
        runs: One per origin, or one for all.
        origins: How many.
        ledger: Of the trainings.
        device: As of ``load``.

    Raises:
        DataError: The file has changed since the trainings.
        ConfigError: The disk refuses.
    """
    folds = folds_of(runs, origins, device)
    trained = load(runs[0], device)
    facts = facts_of(folds, trained.spec.task, trained.network.head.monitor)
    files = {
        ledger.table_md: lambda path: write_atomic(path, backtest_markdown(facts)),
        ledger.table_csv: lambda path: write_atomic(path, backtest_csv(facts)),
        ledger.path / "backtest.json": lambda path: write_atomic(path, backtest_json(facts) + "\n"),
        ledger.path / "backtest.png": lambda path: save(figure_of(folds, trained.spec, facts), path),
    }
    facts["files"] = [path.name for path in files]
    for path, write in files.items():
        try:
            write(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({disk_reason(error)})") from None
    return facts


def folds_of(runs: Sequence[Path], origins: int, device: str = "auto") -> list[Fold]:
    """Return the forecasts from every origin.

    Args:
        runs: One per origin, or one for all.
        origins: How many.
        device: As of ``load``.

    Raises:
        DataError: The file has changed since the trainings.
    """
    folds: list[Fold] = []
    shown: list[str] = []
    trained: Trained | None = None
    for fold in range(origins):
        run = runs[fold if len(runs) > 1 else 0]
        if trained is None or len(runs) > 1:
            trained = load(run, device)
            own: Any = trained.data()
        asked = own if len(runs) > 1 else own.in_fold(fold)
        if not folds:
            places = torch.linspace(0, len(asked.origins) - 1, min(SHOWN, len(asked.origins))).round().int().tolist()
            shown = [asked.origins[place].series for place in places]
        folds.append(_forecast(run, trained, asked, shown))
    return folds


@torch.no_grad()
def _forecast(run: Path, trained: Trained, data: Any, shown: Sequence[str]) -> Fold:
    network, spec = trained.network, trained.spec
    beside = spec.task.baselines(spec, data, "test")
    scores = evaluate(network, spec, data, "test", data.batch_size, beside, before=_earlier(data)).scores
    part = data.part("test")
    drawn = [place for place, origin in enumerate(data.origins) if origin.series in shown]
    batch = data.collate([part[place] for place in drawn])
    predictor = NetworkPredictor(network)
    over_time = spec.task.over_time(data.spec) if hasattr(spec.task, "over_time") else None
    if over_time:  # what has been scored has also been learned from
        beside = spec.task.baselines(spec, data, "test")
    for one in chain(_earlier(data) if over_time else (), [batch]):
        there = one.to(predictor.device)
        prediction = predictor(there)
        prediction = on_cpu(over_time(prediction, there) if over_time else prediction)
        others = {name: predict(one) for name, predict in beside.items() if name in scores}
    return Fold(run, data.origins, scores, drawn, batch, prediction, others)


def _earlier(data: Any) -> Iterator[Batch]:
    """Yield the windows between the end of the training's data and the origins, in the order of time."""
    earlier = getattr(data, "earlier", ())
    for first in range(0, len(earlier), data.batch_size):
        rows = range(first, min(first + data.batch_size, len(earlier)))
        yield data.collate([earlier[row] for row in rows])


def facts_of(folds: Sequence[Fold], task: Any, monitor: Sequence[str]) -> dict[str, Any]:
    """Return what a backtest says, as plain JSON: the scores from each origin, their mean and deviation, the best.

    Args:
        folds: From every origin.
        task: Which says which of several scores is the best.
        monitor: Name of the score that decides, and ``min`` or ``max``.
    """
    every = [fold.scores for fold in folds]
    names = [name for name in every[0] if all(name in scores for scores in every)]
    metrics = {
        name: [metric for metric in every[0][name] if all(metric in scores[name] for scores in every)] for name in names
    }

    def over_folds(statistic: Any) -> dict[str, Scores]:
        def over(name: str, metric: str) -> float:
            values = [scores[name][metric] for scores in every]
            return rounded(statistic(torch.tensor(values, dtype=torch.float64)))

        return {name: {metric: over(name, metric) for metric in metrics[name]} for name in names}

    mean = over_folds(torch.mean)

    def best(scores: Mapping[str, Scores]) -> dict[str, str]:
        found = {}
        for metric in scores[MODEL]:
            finite = {name: own[metric] for name, own in scores.items() if isfinite(own.get(metric, nan))}
            if finite and (chosen := task.best(metric, finite)):
                found[metric] = chosen
        return found

    return {
        "monitor": list(monitor),
        "folds": [
            {
                "origin": fold.time,
                "forecasts": len(fold.origins),
                "run": f"{fold.run.parent.name}/{fold.run.name}",
                "scores": fold.scores,
                "best": best(fold.scores),
            }
            for fold in folds
        ],
        "mean": mean,
        "deviation": over_folds(torch.std) if len(folds) > 1 else {},
        "best": best(mean),
    }


def figure_of(folds: Sequence[Fold], spec: DataSpec, facts: Mapping[str, Any]) -> Any:
    """Draw the truth, the forecast from each origin, and the baseline that is the best by the score that decides."""
    metric = facts["monitor"][0]
    finite = {name: own[metric] for name, own in facts["mean"].items() if name != MODEL and metric in own}
    return spec.task.backtest_figure(folds, spec, spec.task.best(metric, finite) if finite else None)
