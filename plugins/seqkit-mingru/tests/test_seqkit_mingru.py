"""Both models against a loop over the paper's equations; streams, padding, long sequences, learning, export."""

# B batch, T time, I input, H hidden, L layers

from pathlib import Path

import pytest
import seqkit_mingru  # noqa: F401 registers
import torch
from torch import Tensor

import seqkit

MODELS = ("mingru", "minlstm")


@pytest.mark.seqkit("model=mingru model.num_layers=2", "model=minlstm model.residual=true model.num_layers=2")
def test_contract(check):
    check()


def made(name: str, **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return seqkit.build("model", {"name": name, "hidden_size": 4, **options}, 3)


def g(a: Tensor) -> Tensor:
    return torch.where(a >= 0, a + 0.5, a.sigmoid())


def by_a_loop(model: torch.nn.Module, x_BTI: Tensor, state_LBH: Tensor) -> tuple[Tensor, Tensor]:
    """Return y_BTH and the last state by the equations of the paper, one step after another."""
    ends = []
    for number, gates in enumerate(model.gates):
        parts = gates.linear(x_BTI).chunk(len(gates.linear.weight) // model.output_size, -1)
        if len(parts) == 2:
            keep, new = 1 - parts[0].sigmoid(), parts[0].sigmoid()
        else:
            f, i = parts[0].sigmoid(), parts[1].sigmoid()
            keep, new = f / (f + i), i / (f + i)
        h_BH, steps = state_LBH[number], []
        for t in range(x_BTI.shape[1]):
            h_BH = keep[:, t] * h_BH + new[:, t] * g(parts[-1][:, t])
            steps.append(h_BH)
        ends.append(h_BH)
        y_BTH = torch.stack(steps, 1)
        x_BTI = y_BTH + x_BTI if model.residual and number else y_BTH
    return x_BTI, torch.stack(ends)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_scan_equals_the_recurrence_with_its_gradients(name, residual):
    model = made(name, num_layers=2, residual=residual).double()
    x_BTI = 3 * torch.randn(2, 40, 3, dtype=torch.float64)
    state_LBH = torch.rand(2, 2, 4, dtype=torch.float64)
    weights = [*model.parameters()]
    given = [tensor.requires_grad_() for tensor in (x_BTI, state_LBH)]
    found = model(x_BTI, None, (state_LBH,))
    due = by_a_loop(model, x_BTI, state_LBH)
    draw_BTH = torch.randn_like(due[0])

    def gradients(y_BTH: Tensor, end_LBH: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((y_BTH * draw_BTH).sum() + end_LBH.sin().sum(), [*given, *weights])

    for got, expected in zip(
        (*found[:1], *found[1], *gradients(found[0], *found[1])), (*due, *gradients(*due)), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_sequence_starts_from_one_half(name):
    model, x_BTI = made(name, num_layers=2), torch.randn(2, 5, 3)
    (start_LBH,) = model.initial_state(2)
    assert start_LBH.unique().item() == 0.5
    assert torch.equal(model(x_BTI)[0], model(x_BTI, None, (start_LBH,))[0])


@pytest.mark.parametrize("name", MODELS)
def test_chunks_equal_the_whole(name):
    model, x_BTI = made(name, num_layers=2).eval(), torch.randn(2, 30, 3)
    whole_BTH, end = model(x_BTI)
    state, parts = None, []
    for chunk in (x_BTI[:, :1], x_BTI[:, 1:2], x_BTI[:, 2:20], x_BTI[:, 20:]):
        y_BTH, state = model(chunk, None, state)
        parts.append(y_BTH)
    torch.testing.assert_close(torch.cat(parts, 1), whole_BTH)
    torch.testing.assert_close(state, end)


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_nothing(name):
    model, x_BTI, lengths = made(name, num_layers=2, residual=True), torch.randn(3, 9, 3), [9, 4, 0]
    padded_BTI = x_BTI.clone()
    for row, length in enumerate(lengths):
        padded_BTI[row, length:] = torch.nan
    y_BTH, (end_LBH,) = model(padded_BTI, torch.tensor(lengths))
    y_BTH.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    for row, length in enumerate(lengths[:2]):
        alone_BTH, (alone_LBH,) = model(x_BTI[row : row + 1, :length])
        torch.testing.assert_close(y_BTH[row, :length], alone_BTH[0])
        torch.testing.assert_close(end_LBH[:, row], alone_LBH[:, 0])
        assert not y_BTH[row, length:].any()
    assert torch.equal(end_LBH[:, 2], model.initial_state(1)[0][:, 0])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scale", [1, 100], ids=["usual", "saturated"])
def test_2000_steps_in_float32_are_exact_to_its_rounding(name, scale):
    model, x_BTI = made(name), scale * torch.randn(2, 2000, 3)
    y_BTH, _ = model(x_BTI)
    y_BTH.square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    exact = made(name).double()
    due_BTH, _ = by_a_loop(exact, x_BTI.double(), exact.initial_state(2)[0])
    torch.testing.assert_close(y_BTH, due_BTH.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_learns_to_recall_the_first_step(name):
    model = made(name, hidden_size=8)
    linear = torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *linear.parameters()], lr=0.03)
    draw = torch.Generator().manual_seed(1)
    for _ in range(150):
        x_BTI = torch.rand(32, 12, 3, generator=draw)
        x_BTI[:, :, 2] = torch.arange(12) == 0  # marks the step to recall
        loss = (linear(model(x_BTI)[0][:, -1]) - x_BTI[:, 0, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02  # the mean as the answer scores 1 / 12


@pytest.mark.parametrize("name", MODELS)
def test_trains_streams_and_is_exported(name, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("import this, or import that; or not\n" * 40)
    options = ["data.path=text.txt", "data.batch_size=4", "data.seq_len=16", "data.eval_streams=2", "id=a"]
    small = ["model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=2", "trainer.val_check_interval=2"]
    seqkit.train(["data=text_files", f"model={name}", *options, *small])
    trained = seqkit.load("runs/text_files/a", "cpu")
    stream = trained.stream()
    for chunk in ("im", "p", "ort"):
        answer = stream.feed(chunk)
    (whole,) = trained.predict("import")
    assert answer["next"] == pytest.approx(whole["next"], rel=1e-4)
    for format in ("torch", "onnx"):
        assert trained.export(format=format)["difference"] < 1e-5
