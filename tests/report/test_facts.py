import json
from types import SimpleNamespace

import seqkit
from seqkit.report import facts
from seqkit.report.facts import backends_in_words
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


def test_backends_differ_for_padded_batches_only_where_they_do():
    def backends(padded, training):
        names = ("native", "fused" if padded else "native")
        return [SimpleNamespace(layer=layer, name=name, reason="why") for layer, name in enumerate(names)]

    assert backends_in_words(SimpleNamespace(backends=backends)) == {
        "layer 0": "native: why",
        "layer 1": "native: why",
        "layer 1, padded batches": "fused: why",
    }
    assert backends_in_words(object()) == {}
