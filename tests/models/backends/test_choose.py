import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.models.backends.choose import Circumstances, check_asked, choose
from seqkit.models.backends.compiled.trace import Options
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.models.cells.lstm import LSTM
from tests.models.test_stack import build, registered  # noqa: F401 - fixtures


def at(**given):
    options = {"asked": "auto", "hidden_size": 4, "zoneout": False, "layer_norm": False}
    step = Options(4, False, False, (None, None), torch.float32)
    return Circumstances(**{**options, "variational_dropout": False, "step": step, **given})


@pytest.mark.parametrize(
    ("name", "options", "padded", "expected", "why"),
    [
        ("gru", {}, False, "fused", "on a CPU torch's kernel for GRU is slower in training; its loop runs "),
        ("lstm", {"hidden_size": 257}, False, "native", "torch's own kernels compute LSTM exactly"),
        ("lstm", {}, True, "fused", "on a CPU torch's kernel for LSTM is slower when lengths differ; its loop runs "),
        ("elman", {}, True, "native", "torch's own kernels compute Elman exactly"),
        (
            "lstm",
            {"zoneout": 0.1},
            False,
            "fused",
            "torch's kernels know no zoneout, but its gradient is written by hand; ",
        ),
        (
            "elman",
            {"layer_norm": True},
            False,
            "reference",
            "torch's kernels know no layer_norm, so its step runs; model.backend=compiled may be faster",
        ),
        (
            "elman",
            {"projection_size": 2, "weight_dropout": 0.1, "dropout": 0.1},
            False,
            "native",
            "torch's own kernels",
        ),
        (
            "peephole_lstm",
            {},
            False,
            "fused",
            "torch has no kernel for PeepholeLSTM, but its gradient is written by hand",
        ),
        ("mgu", {}, False, "reference", "torch has no kernel for MGU, so its step runs; model.backend=compiled may be"),
        ("lstm", {"backend": "reference"}, False, "reference", "asked for by model.backend=reference"),
    ],
)
def test_loops_says_which_and_why(build, name, options, padded, expected, why):  # noqa: F811
    layers = build(name, num_layers=2, **options).backends(padded)
    assert [(layer.layer, layer.name) for layer in layers] == [(0, expected), (1, expected)]
    assert layers[0].reason.startswith(why)


@pytest.mark.parametrize(
    ("name", "backend", "message"),
    [
        ("peephole_lstm", "native", "model.backend=native: PeepholeLSTM has only fused, compiled, reference"),
        ("elman", "fused", "model.backend=fused: Elman has only native, compiled, reference"),
        ("mgu", "native", "model.backend=native: MGU has only compiled, reference"),
    ],
)
def test_loop_that_the_cell_has_not_is_refused(build, name, backend, message):  # noqa: F811
    with pytest.raises(ConfigError) as error:
        build(name, backend=backend)
    assert str(error.value) == message


def test_kernels_are_used_in_evaluation_where_only_training_needs_more(build):  # noqa: F811
    model = build("elman", variational_dropout=0.2)
    assert model.backends()[0].name == "reference"
    assert model.eval().backends()[0].name == "native"


def test_an_lstm_takes_torchs_kernel_where_that_is_the_faster_one(build, monkeypatch):  # noqa: F811
    model = build("lstm")
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "")
    assert (
        model.backends()[0].reason
        == "on a CPU torch's kernel for LSTM is slower in training up to 256 units; its loop runs compiled from C, for this processor"
    )
    with torch.no_grad():
        assert model.backends()[0].name == "native"
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "no C compiler was found (cc)")
    assert model.backends()[0].name == "native"
    assert model.backends(padded=True)[0].reason.endswith("; its loop runs in torch, as no C compiler was found (cc)")


@pytest.mark.parametrize("asked", ["auto", "native", "fused", "parallel"])
def test_recording_runs_the_step_whatever_is_asked(asked):
    cell = LSTM.__new__(LSTM)
    candidate, reason = choose(cell, torch.zeros(1), at(asked=asked, recording=True))
    assert (candidate.label, reason) == ("reference", "gates are being recorded")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"asked": "native", "zoneout": True, "layer_norm": True},
            "model.backend=native: torch's kernels know no zoneout or layer_norm; use model.backend=auto",
        ),
    ],
)
def test_a_backend_that_excludes_the_options_is_refused(given, message):
    with pytest.raises(ConfigError) as refusal:
        check_asked(LSTM.__new__(LSTM), at(**given))
    assert str(refusal.value) == message
    check_asked(LSTM.__new__(LSTM), at(**{**given, "asked": "auto"}))


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [("lstm", "reference", "native"), ("peephole_lstm", "reference", "fused"), ("gru", "fused", "fused")],
)
def test_a_single_step_without_gradients_is_the_step_itself_where_torch_is_slow(build, name, one, two):  # noqa: F811
    layer = build(name, hidden_size=4).layers[0][0]
    for steps, gradients, expected in ((1, False, one), (2, False, two), (1, True, "fused")):
        circumstances = at(steps=steps, batch=1, gradients=gradients)
        assert choose(layer.cell, layer.bias_ih, circumstances)[0].backend == expected
