"""Exported forecasts of columns known ahead, of categories and of the calendar, against the run's own forecast."""

import json
from datetime import date, timedelta
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
import torch

from seqkit.__main__ import run
from seqkit.trained import load

SHOPS = {"a": (10.0, "north"), "b": (50.0, "south")}
ROWS, LOOKBACK, HORIZON = 40, 6, 3
START = date(2024, 1, 1)


def sales(shop: str, step: int) -> float:
    return round(SHOPS[shop][0] + 5 * sin(step) + 7 * promo(step), 2)


def promo(step: int) -> int:
    return int(step % 5 == 2)


@pytest.fixture
def trained():
    pytest.importorskip("onnxruntime")
    lines = ["shop,date,sales,promo,floor,region"]
    ahead = ["shop,date,promo"]
    for shop, (floor, region) in SHOPS.items():
        for step in range(ROWS + HORIZON):
            day = START + timedelta(step)
            if step < ROWS:
                lines.append(f"{shop},{day},{sales(shop, step)},{promo(step)},{floor},{region}")
            else:
                ahead.append(f"{shop},{day},{promo(step)}")
    Path("shops.csv").write_text("\n".join(lines) + "\n")
    Path("ahead.csv").write_text("\n".join(ahead) + "\n")
    columns = ["data.series=shop", "data.time_column=date", "data.targets=[sales]", "data.known=[promo]"]
    columns += ["data.static=[floor]", "data.categories=[region]", "data.calendar=[weekday]"]
    sizes = [f"data.lookback={LOOKBACK}", f"data.horizon={HORIZON}", "data.split=[30,5,5]", "data.scaling=standard"]
    steps = ["trainer.max_steps=2", "trainer.val_check_interval=2", "trainer.accelerator=cpu", "model.hidden_size=4"]
    assert run(["train", "data=series_table", "data.path=shops.csv", *columns, *sizes, *steps, "id=a"]) == 0
    return load("runs/series_table/a")


def test_a_file_forecasts_what_the_run_forecasts(trained):
    due = [answer["values"] for answer in trained.forecast("shops.csv", "ahead.csv").answers]
    for path, format in (("it.onnx", "onnx"), ("it.pt2", "torch")):
        trained.export(path, format)
        np.testing.assert_allclose(forecast_by(path), due, rtol=1e-5)


def forecast_by(path: str) -> np.ndarray:
    """Return the forecast (B, F, C) of a file, by what the JSON file beside it says."""
    facts = json.loads(Path(f"{path}.json").read_text())
    inputs, known = facts["inputs"][0], facts["inputs"][2]
    assert (known["name"], known["shape"]) == ("known", ["batch", HORIZON, 3])
    assert known["meaning"].endswith(": promo, weekday sine, weekday cosine")
    assert "spec.inputs.levels" in inputs["meaning"]
    assert "'X sine' and 'X cosine' are those of 2 pi X / period" in inputs["meaning"]
    assert "weekday of 7 (0 on Monday)" in inputs["meaning"]
    frames, task = facts["spec"]["inputs"], facts["spec"]["task"]
    levels = dict(zip(frames["names"], frames["levels"], strict=True))

    def row(shop: str, step: int) -> dict[str, float]:
        angle = 2 * pi * (START + timedelta(step)).weekday() / 7
        floor, region = SHOPS[shop]
        there = {"promo": promo(step), "weekday sine": sin(angle), "weekday cosine": cos(angle)}
        return {**there, "sales": sales(shop, step), "floor": floor, "region": levels["region"].index(region) + 1}

    def values(names: list[str], first: int, last: int) -> torch.Tensor:
        rows = [[[row(shop, step)[name] for name in names] for step in range(first, last)] for shop in SHOPS]
        return torch.tensor(rows, dtype=torch.float32)

    ahead = known["meaning"].rpartition(": ")[2].split(", ")
    given = [
        values(frames["names"], ROWS - LOOKBACK, ROWS),
        torch.full((2,), LOOKBACK),
        values(ahead, ROWS, ROWS + HORIZON),
    ]
    given += [torch.full((1, 2, 4), state["start"]) for state in facts["inputs"][3:]]
    if path == "it.pt2":
        outputs = torch.export.load(path).module()(*given)[0].numpy()
    else:
        import onnxruntime

        names = [value["name"] for value in facts["inputs"]]
        session = onnxruntime.InferenceSession(path)
        (outputs,) = session.run(["outputs"], dict(zip(names, map(torch.Tensor.numpy, given), strict=True)))
    return outputs * np.array(task["scale"]) + np.array(task["mean"])
