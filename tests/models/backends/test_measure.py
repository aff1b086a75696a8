"""The choice of a backend by measurement, with a clock and candidates of our own."""

import json

import pytest
import torch

from seqkit.models import Recurrent
from seqkit.models.backends import choose as choosing
from seqkit.models.backends import measure as measuring
from seqkit.models.backends import parallel
from seqkit.models.backends.choose import Choice, choices_from_json, choices_to_json
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.models.backends.fused.functions import IN_C, IN_TORCH
from seqkit.models.backends.measure import fastest, measure, race
from seqkit.models.backends.reference import StepError
from seqkit.models.backends.timings import Timings
from seqkit.models.cells.diagonal_gru import DiagonalGRU
from seqkit.rng import get_rng
from tests.models.test_stack import build, registered  # noqa: F401 - fixtures

LABELS = ("native", "fused in C", "fused in torch")


class Clock:
    """A clock that only moves while a candidate runs, which takes so many seconds per step."""

    def __init__(self, **per_step: float) -> None:
        self.now, self.per_step, self.called = 0.0, per_step, []

    def __call__(self) -> float:
        return self.now

    def calls(self):
        def run(name, steps):
            self.now += steps * self.per_step[name]
            self.called.append((name, steps))

        return {name: (lambda steps, name=name: run(name, steps)) for name in self.per_step}


@pytest.fixture
def with_c(monkeypatch):
    """Loops in C that are there."""
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "")


@pytest.fixture
def timed(monkeypatch, with_c):
    """Let each candidate take so many milliseconds per call; return the calls that were timed."""
    raced = []

    def let(**milliseconds: float):
        by_label = {name.replace("_", " "): time / 1000 for name, time in milliseconds.items()}

        def fake(calls, default, steps, budget, clock):
            raced.append(default)
            return [{label: by_label[label] for label in calls}] * 3

        monkeypatch.setattr(measuring, "race", fake)
        return raced

    return let


def test_candidates_take_turns_and_each_call_is_of_all_steps():
    clock = Clock(a=0.001, b=0.0011)
    rounds = race(clock.calls(), "a", 10, 1.0, clock)
    assert rounds == [{"a": pytest.approx(0.01), "b": pytest.approx(0.011)}] * measuring.MOST
    whole = [name for name, steps in clock.called if steps == 10]
    assert "".join(whole) == "ba" + "abba" * 4


def test_no_more_than_the_budget_is_spent_on_calls_that_take_long():
    clock = Clock(a=0.02, b=0.025)
    rounds = race(clock.calls(), "a", 1000, 1.0, clock)
    assert rounds == [{"a": pytest.approx(20), "b": pytest.approx(25)}] * len(rounds)
    assert len(rounds) >= measuring.LEAST
    assert clock.now <= 1.0 + measuring.PROBE * (0.02 + 0.025)  # a first call of each


def test_calls_have_more_steps_as_long_as_there_is_time():
    clock = Clock(a=0.0001, b=0.0001)
    race(clock.calls(), "a", 1000, 1.0, clock)
    assert list(dict.fromkeys(steps for _, steps in clock.called)) == [2, 16, 128, 1000]


@pytest.mark.parametrize("per_step", [0.2, 5.0])
def test_where_there_is_no_time_nothing_is_chosen(per_step):
    clock = Clock(a=per_step, b=per_step)
    assert race(clock.calls(), "a", 100, 1.0, clock) == []
    assert clock.now <= 1.0 + 3 * measuring.PROBE * per_step  # a first call of each, and one beyond the budget


def test_a_hopeless_candidate_is_looked_at_once_but_never_the_default():
    clock = Clock(a=0.001, b=0.003, c=0.003)
    rounds = race(clock.calls(), "c", 10, 1.0, clock)
    assert rounds == [{"a": pytest.approx(0.01), "b": pytest.approx(0.03), "c": pytest.approx(0.03)}] * measuring.MOST
    assert clock.called.count(("b", 10)) == 1
    assert clock.called.count(("c", 10)) == measuring.MOST


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        ([0.90] * 9, "other"),
        ([0.96] * 9, "default"),  # within the margin
        ([0.90] * 8 + [1.2], "other"),
        ([0.90] * 6 + [0.98] * 3, "default"),  # not in every round, as it would be but for noise
        ([1.5] * 9, "default"),
    ],
)
def test_another_than_the_default_is_taken_where_it_is_clearly_faster(others, taken):
    assert fastest([{"default": 1.0, "other": time} for time in others], "default") == taken


def test_the_fastest_is_used_in_training_and_in_evaluation_and_says_why(build, timed, tmp_path):  # noqa: F811
    timed(native=33, fused_in_C=29, fused_in_torch=60)
    model, x = build("lstm", num_layers=2, hidden_size=300), torch.zeros(8, 20, 3).double()
    assert model.backends()[0].name == "native"
    model.use_choices(measure(model, x, timings=Timings(tmp_path / "t.json")))
    for layer in (0, 1):
        assert model.backends()[layer].reason == (
            "measured: 29 ms against 33 ms (native) and 60 ms (fused in torch), for 20 steps of batch 8; its loop runs "
            f"{IN_C.description}"
        )
    assert [choice.gradients for choice in model.choices] == [True, False]
    assert model.backends(padded=True)[0].reason.startswith("on a CPU torch's kernel for LSTM is slower when lengths")


def test_too_close_to_the_default_it_stays_and_says_so(build, timed, tmp_path):  # noqa: F811
    timed(native=30, fused_in_C=29, fused_in_torch=60)
    model = build("lstm", hidden_size=300)
    model.use_choices(measure(model, torch.zeros(8, 20, 3).double(), timings=Timings(tmp_path / "t.json")))
    assert model.backends()[0].name == "native"
    assert (
        "30 ms against 29 ms (fused in C) and 60 ms (fused in torch), too little or too unsteady a lead to leave the default"
        in model.backends()[0].reason
    )


def test_the_chosen_loops_run_for_calls_of_about_that_size_and_no_others(build, monkeypatch, with_c):  # noqa: F811
    ran, forward = [], IN_TORCH.lstm_forward
    monkeypatch.setattr(type(IN_TORCH), "lstm_forward", lambda self, problem: ran.append(1) or forward(problem))
    model, times = build("lstm"), dict.fromkeys(LABELS, 1.0)
    monkeypatch.setattr(choosing, "_native_slower_reason", lambda *_: "")  # native by default
    sizes = [(16, 64), (8, 100), (64, 16), (16, 8), (1, 64), (2, 500)]
    for batch, steps in sizes:
        model(torch.zeros(batch, steps, 3).double())
    assert ran == []
    model.use_choices([Choice(True, False, "cpu", 64, 16, "fused in torch", times)])
    near = []
    for batch, steps in sizes:
        before = len(ran)
        model(torch.zeros(batch, steps, 3).double())
        near.append(len(ran) > before)
    assert near == [True, True, True, False, False, False]
    with torch.no_grad():
        before = len(ran)
        model(torch.zeros(16, 64, 3).double())
    assert len(ran) == before


def test_a_choice_that_cannot_run_here_gives_way_to_the_default(build, monkeypatch):  # noqa: F811
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "SEQKIT_COMPILED=0")
    model = build("lstm")
    model.use_choices([Choice(True, False, "cpu", 64, 16, "fused in C", dict.fromkeys(LABELS, 1.0))])
    assert model.backends()[0].reason == "torch's own kernels compute LSTM exactly"
    model = build("lstm", backend="fused")
    model.use_choices([Choice(True, False, "cpu", 64, 16, "native", dict.fromkeys(LABELS, 1.0))])
    assert model.backends()[0].reason.startswith("asked for by model.backend=fused")


def test_a_second_process_measures_nothing(build, timed, tmp_path):  # noqa: F811
    raced = timed(native=33, fused_in_C=29, fused_in_torch=60)
    model, x, file = build("lstm"), torch.zeros(8, 20, 3).double(), tmp_path / "new" / "t.json"
    first = measure(model, x, timings=Timings(file))
    assert len(raced) == 2
    timed(native=1, fused_in_C=2, fused_in_torch=3)
    assert measure(model, x[:, :17], timings=Timings(file)) == tuple(
        choice._replace(steps=17) for choice in first
    )  # of the same powers of two
    assert len(raced) == 2
    measure(model, x, torch.full((8,), 20), timings=Timings(file))
    assert len(raced) == 4


def test_two_processes_at_once_lose_nothing(tmp_path):
    one, other = Timings(tmp_path / "t.json"), Timings(tmp_path / "t.json")
    one.add("a", "native", {"native": 1.0, "fused in C": 2.0})
    other.add("b", "fused in C", {"native": 2.0, "fused in C": 1.0})
    assert Timings(tmp_path / "t.json").get("a") == ("native", {"native": 1.0, "fused in C": 2.0})
    assert one.get("b") == ("fused in C", {"native": 2.0, "fused in C": 1.0})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff", b'{"a": 1}', b'{"a": {"fastest": "x", "seconds": {"native": NaN, "x": 1.0}}}'],
)
def test_a_damaged_file_is_as_none_and_written_anew(content, tmp_path):
    path = tmp_path / "t.json"
    path.write_bytes(content)
    timings = Timings(path)
    assert timings.get("a") is None
    timings.add("a", "x", {"native": 2.0, "x": 1.0})
    assert timings.get("a") == ("x", {"native": 2.0, "x": 1.0})
    assert json.loads(path.read_text())


def test_a_folder_that_cannot_be_written_costs_the_times_alone(tmp_path):
    (tmp_path / "file").write_text("")
    Timings(tmp_path / "file" / "t.json").add("a", "x", {"native": 2.0, "x": 1.0})


@pytest.mark.parametrize("padded", [False, True])
def test_measuring_leaves_everything_as_it_was(build, padded, tmp_path):  # noqa: F811
    model = build(
        "peephole_lstm", num_layers=2, bidirectional=True, zoneout=0.2, weight_dropout=0.2, learned_state=True
    )
    model.layers[1].eval()
    x = torch.randn(2, 6, 3).double().requires_grad_()
    model(x)[0].sum().backward()
    gradients = [weight.grad.clone() for weight in model.parameters()]
    weights = [weight.detach().clone() for weight in model.parameters()]
    modes, generator = [module.training for module in model.modules()], get_rng()["torch"]
    choices = measure(model, x, torch.tensor([6, 3]) if padded else None, Timings(tmp_path / "t.json"))
    assert {choice.padded for choice in choices} <= {padded}
    assert torch.equal(get_rng()["torch"], generator)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(weight.grad, old) for weight, old in zip(model.parameters(), gradients, strict=True))
    assert all(torch.equal(weight, old) for weight, old in zip(model.parameters(), weights, strict=True))


@pytest.mark.parametrize(("name", "options"), [("mgu", {"backend": "compiled"}), ("lstm", {"backend": "native"})])
def test_where_only_one_can_run_nothing_is_measured(build, name, options, timed):  # noqa: F811
    assert measure(build(name, **options), torch.zeros(2, 6, 3).double()) == ()


def test_a_candidate_that_gives_up_is_dropped_in_silence():
    clock = Clock(good=0.001, default=0.002, unable=0.0005)
    calls = clock.calls()
    easy = calls["unable"]

    def giving_up(steps):
        if steps > 4:
            raise StepError("does not converge")
        easy(steps)

    rounds = race({**calls, "unable": giving_up}, "default", 16, 1.0, clock)
    assert {name for one in rounds for name in one} == {"good", "default"}
    assert fastest(rounds, "default") == "good"


def test_where_all_but_one_give_up_nothing_is_chosen_and_nothing_is_said(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(parallel, "ITERATIONS", 0)
    model = Recurrent(DiagonalGRU, 3, hidden_size=4)
    monkeypatch.setenv("CC", "no-such-cc")  # neither compiled
    with caplog.at_level("INFO", "seqkit"):
        assert measure(model, torch.randn(2, 70, 3), timings=Timings(tmp_path / "t.json")) == ()
    assert caplog.text == ""


def test_a_fused_backend_asked_for_still_has_its_loops_chosen(build, timed, tmp_path):  # noqa: F811
    timed(fused_in_C=9, fused_in_torch=3)
    model = build("lstm", backend="fused")
    choices = measure(model, torch.zeros(2, 6, 3).double(), timings=Timings(tmp_path / "t.json"))
    assert {choice.label for choice in choices} == {"fused in torch"}


def test_choices_are_plain_json_and_anything_else_is_refused():
    choices = (Choice(True, False, "cpu", 64, 16, "native", dict.fromkeys(LABELS, 1.0)),)
    plain = json.loads(json.dumps(choices_to_json(choices)))
    assert choices_from_json(plain) == choices
    for wrong in ({"label": "nowhere"}, {"steps": "64"}, {"seconds": {"native": 1.0}}, {"seconds": None}, {"more": 1}):
        with pytest.raises(ValueError, match="choice"):
            choices_from_json([{**plain[0], **wrong}])
    with pytest.raises(ValueError, match="choices"):
        choices_from_json({})
