"""No correct component is refused: the built-in ones, the example plugins, and odd ones of the literature."""

from pathlib import Path

import pytest

from seqkit.testing import check_frontend
from seqkit.testing.check import CHECKS, Outcome
from seqkit.testing.line import parse, suite
from tests.testing.built_in import lines

PLUGINS = Path(__file__).parents[2] / "plugins"
EXPORT, RESUME = "export_equals_it", "resume_is_exact"  # seconds each, and of some components enough
OPTIONS = [
    "model=lstm model.num_layers=2 model.projection_size=3 model.layer_norm=true",
    "model=lstm model.bidirectional=true model.num_layers=2 model.zoneout=0.2",
    "model=gru model.learned_state=true model.residual=true model.num_layers=2 model.dropout=0.3",
    "model=gru model.backend=reference model.variational_dropout=0.3",
    "model=peephole_lstm model.layer_norm=true model.weight_dropout=0.3",
    "model=cifg_lstm model.zoneout=0.2 model.zoneout_cell=0.1 model.recurrent_init=orthogonal",
    "model=elman model.bidirectional=true model.projection_size=2",
    "frontend=embedding frontend.dropout=0.5 frontend.token_dropout=0.2",
    "frontend=words frontend.spelling_size=0",
    "frontend=words frontend.dropout=0.5 frontend.token_dropout=0.2",
    "frontend=frames frontend.channels=apart frontend.patch=3 frontend.project=4",
    "frontend=frames frontend.center=last frontend.patch=4",
    "frontend=logmel frontend.normalise=none frontend.stack=3",
    "frontend=logmel frontend.normalise=band frontend.time_masks=2 frontend.band_masks=1",
]
OTHERS = {
    "tests.plugins.odd_cells": ["indrnn", "sru", "mlstm", "rhn", "fast_weights"],
    "tests.plugins.whole_models": ["tcn", "attention", "window_attention"],
    "seqkit_mgu": ["mgu"],
    "seqkit_mogrifier": ["mogrifier"],
    "seqkit_mingru": ["mingru", "minlstm"],
}


def outcomes(line: str, *left_out: str) -> list[Outcome]:
    kind = line.partition("=")[0]
    subject, kinds = suite(kind, parse(line.split()))
    return [check.outcome(subject) for own in kinds for check in CHECKS[own] if check.name not in left_out]


@pytest.mark.seqkit(*lines("model"), *lines("frontend"))
def test_built_in(check):
    if check.check.name == EXPORT and check.subject.where != "model=gru":
        pytest.skip("tests/export exports every built-in model")
    check()


@pytest.mark.parametrize("line", OPTIONS)
def test_built_in_with_options(line):
    found = outcomes(line, EXPORT, RESUME)
    assert [outcome for outcome in found if not outcome.passed] == []
    assert sum(outcome.applies for outcome in found) > len(found) / 2


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OTHERS.items() for name in names])
def test_others(module, name, load, monkeypatch):
    for folder in PLUGINS.iterdir():
        monkeypatch.syspath_prepend(str(folder))
    load(module)
    assert [outcome for outcome in outcomes(f"model={name}", EXPORT) if not outcome.passed] == []


def test_a_frontend_is_checked_on_a_spec_of_the_author():
    from seqkit import DataSpec, Frames
    from seqkit.testing.specs import specs

    check_frontend("frames", DataSpec(Frames(("a",), (1.0,), (2.0,)), next(specs()).task), patch=2)
