"""What the experiments reach when they train in full; minutes each, so marked slow."""

import json

import pytest

from seqkit.__main__ import run

pytestmark = pytest.mark.slow


def report(capsys, *overrides: str) -> dict:
    import torch

    torch.set_num_threads(2)
    assert run(["train", *overrides, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_python_source(capsys):
    found = report(capsys, "experiment=python_source")
    assert found["test"]["bits_per_character"] < 2.45
    assert found["test"]["bits_per_character"] < found["baselines"]["3-gram"]["bits_per_character"]


def test_sea_temperature(capsys):
    found = report(capsys, "experiment=sea_temperature")
    for name in ("repeat last", "seasonal naive (season 48)"):
        for score in ("mse", "mae", "mse_raw", "mae_raw"):
            assert found["test"][score] < found["baselines"][name][score]


def test_morse(capsys):
    assert report(capsys, "experiment=morse")["test"]["character_error_rate"] < 0.05


@pytest.mark.parametrize(
    ("model", "solved"), [("elman", False), ("lstm", True), ("gru", True), ("peephole_lstm", True)]
)
def test_adding(capsys, model, solved):
    assert (report(capsys, "experiment=adding", f"model={model}")["test"]["mse"] < 0.01) == solved


def test_spoken_digits(capsys, shared):
    manifest = shared / "audio" / "fsdd" / "manifest.csv"
    assert report(capsys, "experiment=audio_classify", f"data.manifest={manifest}")["test"]["accuracy"] >= 0.96


def test_etth1(capsys, shared):
    table = shared / "timeseries" / "etth1" / "ETTh1.csv"
    found = report(capsys, "experiment=forecast", f"data.path={table}", "data.time_column=date", "data.lookback=336",
                   "data.horizon=96", "data.split=[8640,2880,2880]")  # fmt: skip
    naive = found["baselines"]["repeat last"]
    assert (round(naive["mse"], 3), round(naive["mae"], 3)) == (1.294, 0.713)
    assert found["test"]["mse"] < 0.4
