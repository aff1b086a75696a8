import json
from types import SimpleNamespace

import pytest
from torchmetrics import Metric

import seqkit
from seqkit.experiment import resume
from seqkit.models.backends.choose import LayerBackend
from seqkit.report import facts
from seqkit.report.facts import backends_in_words
from seqkit.report.terminal import terminal_summary
from tests.conftest import TINY


def test_a_figure_that_fails_costs_a_warning_not_the_report(monkeypatch, capsys, tmp_path):
    def failing(*_):
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(facts, "learning_curves", failing)
    report = seqkit.train([*TINY, "id=a"])
    assert "the report is without the learning curves: RuntimeError: no font" in capsys.readouterr().err
    assert report["figures"] == ["forecast.png"]  # the others are there
    assert json.loads((tmp_path / "runs/tiny/a/report.json").read_text())["test"] == report["test"]
    assert (tmp_path / "runs/tiny/a/report.md").is_file()


def failing(*_, **__):
    raise RuntimeError("no\nroom")


PARTS = {
    "the test scores": ("seqkit.report.facts.evaluate", ["the test scores", "the validation scores"]),
    "the learning curves": ("seqkit.report.facts.learning_curves", ["the learning curves"]),
    "examples": ("seqkit.report.illustrations._examples", ["examples"]),
    "the figures": ("seqkit.tasks.forecast.spec.Series.figures", ["the figures of the task"]),
    "the baselines": ("seqkit.tasks.forecast.spec.Series.baselines", ["every baseline"]),
    "one baseline": ("seqkit.tasks.forecast.baselines.training_mean", ["baseline 'training mean'"]),
    "the backends": ("seqkit.report.facts.backends_in_words", ["the backends"]),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_fails_costs_a_warning_and_the_rest_is_written(name, finished, monkeypatch, capsys):
    path, missing = PARTS[name]
    monkeypatch.setattr(path, failing)
    report = resume(finished, report=True)
    assert report["missing"] == missing
    err = capsys.readouterr().err
    assert all(f"{part} " in err or f"{part}:" in err for part in missing), err
    assert "RuntimeError: no room" in err
    assert json.loads((finished / "report.json").read_text()) == report
    assert f"Missing, because it failed (see train.log): {', '.join(missing)}." in (finished / "report.md").read_text()
    assert "mse" in report["test"] or name == "the test scores"
    terminal_summary(report)


def test_metrics_of_a_head_that_fail_leave_those_of_the_task(finished, monkeypatch):
    from seqkit.tasks.forecast.head import Forecast

    class Odd(Metric):
        def update(self, prediction, batch) -> None:
            failing()

        def compute(self):
            raise AssertionError("it failed before")

    monkeypatch.setattr(Forecast, "metrics", lambda self: Odd(), raising=False)
    report = resume(finished, report=True)
    assert set(report["test"]) == set(report["valid"]) == {
        "mse", "mae", "rmse", "smape", "crps", "pinball", "coverage_90", "width_90"
    }  # fmt: skip
    assert report["missing"] == ["the metric of the head"]


def test_a_report_that_cannot_be_laid_out_is_still_there_as_json(finished, monkeypatch, capsys):
    monkeypatch.setattr(facts, "markdown", failing)
    report = resume(finished, report=True)
    assert json.loads((finished / "report.json").read_text())["test"] == report["test"]
    assert "the report is without report.md: RuntimeError: no room" in capsys.readouterr().err


def test_backends_of_other_calls_are_named_where_they_differ_or_were_measured():
    def backends(padded, training):
        names = ("native", "fused" if padded and training else "native")
        reasons = ("why", "why" if training else "measured: 1 ms against 2 ms")
        return [LayerBackend(layer, *both) for layer, both in enumerate(zip(names, reasons, strict=True))]

    assert backends_in_words(SimpleNamespace(backends=backends)) == {
        "layer 0": "native: why",
        "layer 1": "native: why",
        "layer 1, padded batches": "fused: why",
        "layer 1, evaluation": "native: measured: 1 ms against 2 ms",
        "layer 1, evaluation of padded": "native: measured: 1 ms against 2 ms",
    }
    assert backends_in_words(object()) == {}
