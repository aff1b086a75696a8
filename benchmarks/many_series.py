"""Make two tables of many series: hourly ones of different scale and length, and daily sales driven by promotions.

``python benchmarks/many_series.py FOLDER`` writes many_series.csv and promoted.csv there. With ``--compare`` it then
trains one model over all hourly series, and one of the same size for each of 20 of them that are drawn at random: for
the steps that each of 400 such models has of the same total, and for 100 steps each.
"""

import argparse
import csv
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

HOUR = np.timedelta64(1, "h")


def make(path: Path, series: int = 400, hours: tuple[int, int] = (1200, 3000), seed: int = 1) -> None:
    """Write a table of hourly series: trend, a day's and a week's season and noise, of different scale and length.

    Args:
        path: Of the CSV file.
        series: Of how many.
        hours: Length of the shortest and of the longest.
        seed: Of the draws.
    """
    draw = np.random.default_rng(seed)
    end = np.datetime64("2024-07-01T00", "h")
    rows = ["series,time,region,load"]
    for number in range(series):
        length = int(draw.integers(*hours))
        times = end - length * HOUR + np.arange(length) * HOUR - int(draw.integers(0, 500)) * HOUR
        hour = times.astype(np.int64)
        scale = 10 ** draw.uniform(-1, 4)
        day, week = draw.uniform(0.3, 1.5), draw.uniform(0.1, 0.8)
        at_day, at_week = draw.uniform(0, 24), draw.uniform(0, 168)
        sharp = draw.uniform(0.5, 2)
        shape = np.exp(sharp * np.cos(2 * np.pi * (hour - at_day) / 24)) / np.exp(sharp)
        value = (
            draw.uniform(1, 4)
            + np.cumsum(draw.normal(0, 0.01, length))
            + draw.normal(0, 0.5) * np.arange(length) / length
            + day * shape
            + week * np.sin(2 * np.pi * (hour - at_week) / 168)
            + draw.normal(0, draw.uniform(0.05, 0.25), length)
        )
        region = ("north", "south", "east", "west")[number % 4]
        rows += [
            f"s{number:03d},{time},{region},{scale * v:.6g}"
            for time, v in zip(times.astype("datetime64[m]"), value, strict=True)
        ]
    path.write_text("\n".join(rows) + "\n")


def make_promoted(path: Path, series: int = 60, days: int = 500, seed: int = 1) -> None:
    """Write a table of daily sales that a promotion on random days doubles or triples, by shop.

    Args:
        path: Of the CSV file.
        series: Of how many.
        days: Of each.
        seed: Of the draws.
    """
    draw = np.random.default_rng(seed)
    times = np.datetime64("2023-01-01") + np.arange(days)
    rows = ["shop,date,sales,promo"]
    for number in range(series):
        scale, effect = 10 ** draw.uniform(0, 3), draw.uniform(1, 2)
        promo = draw.random(days) < 0.2
        week = 1 + 0.2 * np.sin(2 * np.pi * (np.arange(days) + draw.integers(7)) / 7)
        sales = scale * week * (1 + effect * promo) * (1 + draw.normal(0, 0.05, days))
        rows += [f"shop{number},{day},{s:.6g},{p:d}" for day, s, p in zip(times, sales, promo, strict=True)]
    path.write_text("\n".join(rows) + "\n")


def compare(folder: Path, singles: int = 20, seed: int = 1) -> None:
    """Train one model over all series and single ones; print MASE and sMAPE, means over series.

    Steps stand for time: those of all models have the same batch size and network.

    Args:
        folder: With ``many_series.csv``; the runs are left there.
        singles: Series that get a model of their own.
        seed: Of the draw.
    """
    import seqkit

    table = folder / "many_series.csv"
    header, *lines = table.read_text().splitlines()
    names = list(dict.fromkeys(line.partition(",")[0] for line in lines))
    common = ["experiment=series_table", "data.series=series", "data.time_column=time", "data.targets=[load]"]
    common += [f"runs={folder / 'runs'}", "trainer.accelerator=cpu"]
    whole = seqkit.train([*common, f"data.path={table}", "id=one"])
    steps = whole["config"]["trainer"]["max_steps"]
    with (Path(whole["run"]) / "errors.csv").open() as file:
        errors = {row["series"]: row for row in csv.DictReader(file)}
    drawn = sorted(np.random.default_rng(seed).choice(names, singles, replace=False).tolist())
    for name, scores in {"one model": whole["test"], **whole["baselines"]}.items():
        print(f"{name}, all {len(names)} series: {_means([scores])}")
    print(f"one model of {steps:,} steps, {singles} series: {_means([errors[name] for name in drawn])}", flush=True)
    for each in (-(-steps // len(names)), 100):
        found = []
        for name in drawn:
            own = folder / f"{name}.csv"
            own.write_text("\n".join([header, *(line for line in lines if line.startswith(f"{name},"))]) + "\n")
            options = [f"trainer.max_steps={each}", f"trainer.val_check_interval={min(each, 25)}"]
            options += [f"scheduler.warmup={each // 10}", f"data.path={own}", f"id={name}-{each}"]
            found.append(seqkit.train([*common, *options])["test"])
        total = f"{each * len(names):,} for {len(names)} of them"
        print(f"single models of {each} steps each ({total}), {singles} series: {_means(found)}", flush=True)


def _means(rows: list[dict[str, Any]]) -> str:
    return ", ".join(f"{name} {fmean(float(row[name]) for row in rows):.3f}" for name in ("mase", "smape"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compare", action="store_true", help="one model over all series beside models of their own")
    arguments = parser.parse_args()
    place, asked = arguments.folder, arguments.compare
    if not (asked and (place / "many_series.csv").exists()):
        make(place / "many_series.csv")
        make_promoted(place / "promoted.csv")
    if asked:
        compare(place)
