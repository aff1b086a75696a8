"""The scores of a run are the same to the last digit for any number of ranks and any batch size."""

import json
import sys
from pathlib import Path

import pytest

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.plugins.loading import loaded
from seqkit.ranks import group
from seqkit.ranks.launch import launch

PLUGINS = Path(__file__).parent / "plugins"
FEW = ["model.hidden_size=8", "trainer.accelerator=cpu", "trainer.max_steps=4", "trainer.val_check_interval=4",
       "trainer.limit_val_batches=2", "data.batch_size=4", "id=x"]  # fmt: skip
WINDOWS = ["data.lookback=48", "data.horizon=4", "data.split=[300,60,130]"]
SMALL = {  # plugin, and what to train
    "text": (None, ["data=text_files", "data.path=book.txt", "data.split=[0.6,0.2,0.2]", "data.seq_len=8",
                    "data.eval_streams=5"]),
    "piano_roll": ("piano_roll", ["data=piano_roll", "data.steps=8"]),
}  # fmt: skip
LARGER = {
    "characters": (None, ["experiment=python_source", "data.seq_len=256", "data.eval_streams=70"]),
    "words": (None, ["data=text_files", "data.path=book.txt", "data.split=[0.6,0.2,0.2]", "data.tokenizer=word",
                     "data.seq_len=8", "data.eval_streams=67"]),
    "sea_temperature": (None, ["experiment=sea_temperature", *WINDOWS]),
    "adaptive": (None, ["experiment=sea_temperature", *WINDOWS, "head=quantile_forecast", "head.adaptive=true"]),
    "morse": (None, ["experiment=morse", "data.train_size=8", "data.valid_size=4", "data.test_size=70"]),
    "timing": (None, ["experiment=timing", "data.train_size=16", "data.test_size=130"]),
    "adding": (None, ["experiment=adding", "data.train_size=16", "data.test_size=130"]),
    "piano_roll": ("piano_roll", ["data=piano_roll"]),
    "quantile": ("quantile", ["experiment=sea_temperature", *WINDOWS, "head=quantile"]),
    "sentences": ("sentences", ["data=sentences"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _plugins_anew(monkeypatch):
    """Forget for one test that other tests of this process have imported the plugins."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})
    for key in list(loaded):
        monkeypatch.delitem(loaded, key)
    for plugin in ("piano_roll", "quantile", "sentences"):
        monkeypatch.delitem(sys.modules, f"tests.plugins.{plugin}", raising=False)


def evaluate_all(runs: list[str], batch_sizes: list[int], result: str) -> None:
    """Score every run at every batch size, as one rank, and write it."""
    found = {name: [seqkit.load(name, "cpu").evaluate("test", size) for size in batch_sizes] for name in runs}
    if group().first:
        Path(result).write_text(json.dumps(found))


def scores_and_reports(runs, batch_sizes, monkeypatch):
    """Train the runs; return what one rank and two say of each at every batch size, and its report."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setattr("seqkit.tasks.forecast.conformal.RATES", (0.02,))  # or none might be worth it
    Path("book.txt").write_text("".join(f"chapter {i} says {i} times {i} is {i * i}\n" for i in range(150)))
    reports = {}
    for name, (plugin, overrides) in runs.items():
        plugins = ["--plugin", str(PLUGINS / f"{plugin}.py")] if plugin else []
        assert run([*plugins, "train", *overrides, *FEW, f"name={name}"]) == 0
        report = json.loads(Path("runs", name, "x", "report.json").read_text())
        reports[f"runs/{name}/x"] = {"model": report["test"], **report["baselines"]}
    arguments = {"runs": list(reports), "batch_sizes": batch_sizes}
    evaluate_all(**arguments, result="one.json")
    assert launch(evaluate_all, {**arguments, "result": "two.json"}, 2, [Path("log-0"), Path("log-1")]) is None
    return *(json.loads(Path(name).read_text()) for name in ("one.json", "two.json")), reports


def test_two_ranks_score_as_one_and_as_the_report(monkeypatch):
    one, two, reports = scores_and_reports(SMALL, [3], monkeypatch)
    assert {name: found[0] for name, found in one.items()} == reports
    assert two == one


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_any_batch_size_and_number_of_ranks_gives_the_scores_of_the_report(name, monkeypatch):
    sizes = [1, 7, 64]
    one, two, reports = scores_and_reports({name: LARGER[name]}, sizes, monkeypatch)
    assert one == {name: [scores] * len(sizes) for name, scores in reports.items()}
    assert two == one


def test_evaluate_in_two_processes_prints_what_one_prints(finished, capfd):
    assert run(["evaluate", str(finished), "--json"]) == 0
    alone = capfd.readouterr().out
    assert run(["evaluate", str(finished), "--json", "--devices", "2"]) == 0
    assert capfd.readouterr().out == alone
    assert run(["evaluate", str(finished), "--devices", "0"]) == 1
    assert capfd.readouterr().err == "seqkit: --devices 0: must be 1 or more\n"
