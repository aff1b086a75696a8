"""The suite has teeth: each mutant is found by the check meant for it, in its words."""

import pytest

import seqkit
from seqkit.models.backends import choose
from seqkit.models.backends.compiled import expressions, trace
from seqkit.models.backends.compiled.trace import aten
from seqkit.testing.check import CHECKS
from seqkit.testing.line import parse, suite
from tests.testing.mutants import registered
from tests.testing.mutants.__main__ import table

with registered() as found:
    from tests.testing.mutants import cells, frontends, models

    MUTANTS = list(found)


@pytest.fixture(autouse=True)
def _registered():
    with registered():
        yield


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind}={mutant.name}")
def test_mutant_is_caught_by_the_check_meant_for_it(mutant):
    subject, kinds = suite(mutant.kind, parse(mutant.line))
    [check] = [check for kind in kinds for check in CHECKS[kind] if check.name == mutant.caught_by]
    outcome = check.outcome(subject)
    assert not outcome.passed
    assert mutant.says in outcome.reason


@pytest.mark.parametrize(
    "right", ["model=right_cell", "model=right_model", "frontend=right_frontend", "frontend=pairs"]
)
def test_what_the_mutants_share_is_right(right):
    seqkit.register_cell("right_cell")(cells.Unit)
    seqkit.register_model("right_model")(models.Right)
    seqkit.register_frontend("right_frontend")(frontends.Right)
    seqkit.register_frontend("pairs")(frontends.Pairs)
    [kind] = chosen = parse([right])
    subject, kinds = suite(kind, chosen)
    found = [check.outcome(subject) for own in kinds for check in CHECKS[own] if check.name != "export_equals_it"]
    assert [outcome for outcome in found if not outcome.passed] == []


@pytest.mark.parametrize(
    ("operation", "wrong", "caught_by"),
    [
        (aten.tanh.default, "sigmoid({})", "backends_equal_the_reference"),
        (aten.where.self, "({0} ? {2} : {1})", "compiled_step_equals_it_with_every_option"),  # zoneout, by a mask
    ],
)
def test_a_wrongly_compiled_step_is_caught(operation, wrong, caught_by, monkeypatch):
    monkeypatch.setitem(expressions.POINTWISE, operation, wrong)
    seqkit.register_cell("right_cell")(cells.Unit)
    subject, _ = suite("model", parse(["model=right_cell"]))
    [check] = [check for check in CHECKS["cell"] if check.name == caught_by]
    outcome = check.outcome(subject)
    assert not outcome.passed
    assert outcome.reason.startswith("backend=compiled: its outputs are ")


def test_a_compiled_step_that_is_wrong_after_training_only_is_caught(monkeypatch):
    monkeypatch.setattr(trace, "apply_zoneout", lambda mask, t, new, old: old if isinstance(mask, float) else new)
    seqkit.register_cell("right_cell")(cells.Unit)
    subject, _ = suite("model", parse(["model=right_cell"]))
    [check] = [check for check in CHECKS["cell"] if check.name == "compiled_step_equals_it_with_every_option"]
    assert check.outcome(subject).reason.startswith("backend=compiled: its ")


def test_a_compiled_step_that_cannot_be_had_is_not_said_to_be_right(monkeypatch):
    monkeypatch.setattr(choose, "unavailable_reason", lambda *_: "cannot be compiled: no compiler")
    seqkit.register_cell("right_cell")(cells.Unit)
    subject, _ = suite("model", parse(["model=right_cell"]))
    for name in ("backends_equal_the_reference", "compiled_step_equals_it_with_every_option"):
        [check] = [check for check in CHECKS["cell"] if check.name == name]
        outcome = check.outcome(subject)
        assert not outcome.applies
        assert "no compiler" in outcome.reason


def test_enough_of_them():
    assert len(MUTANTS) >= 60
    assert sum(mutant.dry_run for mutant in MUTANTS) >= len(MUTANTS) / 2
    assert len({(mutant.kind, mutant.name) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.name in table() for mutant in MUTANTS)
