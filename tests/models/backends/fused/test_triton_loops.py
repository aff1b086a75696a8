"""The fused loops by Triton's kernels against the reference backend: on a GPU, or in Triton's interpreter."""

import pytest
import torch

from seqkit.models.backends.fused import functions, triton_loops
from tests.models.backends.fused.test_functions import CELLS, draw, make, same

torch.set_num_threads(1)


@pytest.fixture
def triton(triton_steps, triton_persistent, monkeypatch):
    """Make the fused loops run by Triton's kernels."""
    monkeypatch.setattr(triton_loops, "_kernels", lambda: (triton_steps, triton_persistent))
    monkeypatch.setattr(functions, "choose_loops", lambda device, dtype: (functions.IN_TRITON, "in Triton's kernels"))
    return triton_persistent


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variational_dropout": 0.3, "bidirectional": True},
        {"zoneout": 0.3},
        {"layer_norm": True, "zoneout": 0.2, "variational_dropout": 0.3, "projection_size": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("on_chip", [True, False], ids=["on chip", "step by step"])
def test_values_and_all_gradients_are_those_of_the_plain_loop(
    triton, device, name, options, training, on_chip, monkeypatch
):
    if not on_chip:
        monkeypatch.setattr(triton, "fits", lambda hidden_size, dtype: False)
    elif "zoneout" in options:
        pytest.skip("runs step by step anyway")
    found, lengths = [], torch.tensor([4, 1, 3]).to(device)
    for backend in ("fused", "reference"):
        model = make(name, backend, **options).to(device).train(training)
        torch.manual_seed(1)
        x = draw(3, 4, 3).to(device).requires_grad_()
        y, after = model(x, lengths)
        loss = y.sin().sum() + sum((part * draw(*part.shape).to(device)).sum() for part in after)
        found.append([y, *after, *torch.autograd.grad(loss, [x, *model.parameters()])])
    same(*found)


def test_the_first_use_tries_the_kernels(triton, device):
    assert triton_loops._unavailable_reason.__wrapped__(torch.device(device), torch.float32) == ""


def test_kernels_that_differ_are_not_used(triton, device, monkeypatch):
    monkeypatch.setattr(triton_loops.TritonLoops, "gru_forward", lambda self, problem: (problem.hs[1:] * 0, None))
    reason = triton_loops._unavailable_reason.__wrapped__(torch.device(device), torch.float32)
    assert reason.startswith("triton's results differ: ")
    assert "\n" not in reason


def test_kernels_that_fail_are_not_used(monkeypatch):
    def missing():
        raise ImportError("No module named 'triton'")

    monkeypatch.setattr(triton_loops, "_kernels", missing)
    assert (
        triton_loops._unavailable_reason.__wrapped__(torch.device("cpu"), torch.float32)
        == "triton cannot be imported: No module named 'triton'"
    )


def test_half_precision_parameters_do_not_go_to_the_kernels():
    reason = functions.IN_TRITON.unavailable_reason(torch.device("cpu"), torch.bfloat16)
    assert reason == "triton's kernels do not compute in bfloat16"
