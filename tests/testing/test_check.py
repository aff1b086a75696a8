import random

import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.testing import check as checks
from seqkit.testing.check import CheckError, DoesNotApply, cheap_outcomes, check, ensure, outcomes, require


def kind_with(monkeypatch, *functions, **marks):
    monkeypatch.setattr(checks, "CHECKS", {})
    for function in functions:
        check("thing", **marks)(function)


def passes(subject):
    """A sentence.

    More of it.
    """
    random.random()
    torch.rand(1)


def fails(subject):
    ensure(subject > 1, f"it is {subject}\n and not more")


def does_not_apply(subject):
    raise DoesNotApply("nothing here")


def refuses(subject):
    raise ConfigError("a line of its own")


def breaks(subject):
    raise KeyError("x")


def test_outcomes(monkeypatch):
    kind_with(monkeypatch, passes, fails, does_not_apply, refuses, breaks)
    found = [(one.passed, one.applies, one.reason.partition(" (")[0]) for one in outcomes(1, ("thing",))]
    assert found == [
        (True, True, ""), (False, True, "it is 1 and not more"), (True, False, "nothing here"),
        (False, True, "a line of its own"), (False, True, "KeyError: 'x'"),
    ]  # fmt: skip


def test_where_a_basic_check_fails_no_other_is_tried(monkeypatch):
    kind_with(monkeypatch, breaks, passes)
    check("thing", basic=True)(fails)
    found = [(one.check.name, one.passed, one.applies) for one in outcomes(1, ("thing",))]
    assert found == [("fails", False, True), ("breaks", True, False), ("passes", True, False)]


def test_an_error_is_said_with_its_place(monkeypatch):
    kind_with(monkeypatch, breaks)
    [outcome] = outcomes(1, ("thing",))
    assert f"test_check.py:{breaks.__code__.co_firstlineno + 1}" in outcome.reason


def test_each_failure_is_a_line(monkeypatch):
    kind_with(monkeypatch, passes, fails, refuses)
    with pytest.raises(CheckError, match=r"^fails: it is 1 and not more\nrefuses: a line of its own$"):
        require(1, ("thing",))


def test_words_of_a_check(monkeypatch):
    kind_with(monkeypatch, does_not_apply, passes)
    assert checks.CHECKS["thing"][0].sentence == "does not apply"
    assert [one.doc for one in checks.CHECKS["thing"]] == ["", "A sentence."]


@pytest.mark.parametrize(("marks", "streams", "made"), [
    ({}, True, 0), ({"cheap": True}, False, 1), ({"cheap": True, "streams": True}, False, 0),
    ({"cheap": True, "streams": True}, True, 1),
])  # fmt: skip
def test_cheap_ones_and_those_of_streams(monkeypatch, marks, streams, made):
    kind_with(monkeypatch, fails, **marks)
    assert len(list(cheap_outcomes(1, "thing", streams))) == made


def test_generators_are_seeded_and_put_back(monkeypatch):
    drawn = []
    kind_with(monkeypatch, lambda subject: drawn.append((random.random(), float(torch.rand(1)))))
    torch.manual_seed(3)
    before = torch.get_rng_state(), random.getstate()
    list(outcomes(1, ("thing",)))
    list(outcomes(1, ("thing",)))
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
