"""Cells that need every part of the contract, against loops written out one vector at a time, and through a life."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import seqkit
from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.experiment import resume
from seqkit.export.exporting import write
from seqkit.inputs.frames.spec import Frames
from seqkit.models import Recurrent
from seqkit.network import assemble
from seqkit.tasks.classify.spec import Classes
from seqkit.testing import check_cell
from tests.training.test_resume import ADDING, Killed, assert_equal, die_by_exception, kill_at, outcome

# I input, H hidden, T time
I, H = 3, 4  # noqa: E741 - the letters of the shapes


@pytest.fixture(autouse=True)
def _plugins(monkeypatch):
    registry.load_built_in()
    monkeypatch.setitem(registry._components, "model", dict(registry._components["model"]))
    sys.modules.pop("tests.plugins.odd_cells", None)
    import_module("tests.plugins.odd_cells")


def sigmoid(a):
    return 1 / (1 + torch.exp(-a))


def indrnn(d, x_TI):
    h, outputs = torch.zeros(H, dtype=torch.float64), []
    for x in x_TI:
        h = torch.clamp(d.weight_ih @ x + d.bias_ih + d.weight_hh * h + d.bias_hh, min=0)
        outputs.append(h)
    return outputs


def sru(d, x_TI):
    c, outputs = torch.zeros(H, dtype=torch.float64), []
    for x in x_TI:
        n, f, r = (d.weight_ih @ x + d.bias_ih).split(H)
        f, r = sigmoid(f + d.cell.peephole_f * c), sigmoid(r + d.cell.peephole_r * c)
        c = f * c + (1 - f) * n
        outputs.append(r * c + (1 - r) * (d.cell.skip.weight @ x))
    return outputs


def mlstm(d, x_TI):
    h = c = torch.zeros(H, dtype=torch.float64)
    W, U, b, e, outputs = d.weight_ih.split(H), d.weight_hh.split(H), d.bias_ih.split(H), d.bias_hh.split(H), []
    for x in x_TI:
        m = (W[0] @ x + b[0]) * (U[0] @ h + e[0])
        i, f, n, o = (W[k] @ x + b[k] + U[k] @ m + e[k] for k in (1, 2, 3, 4))
        c = sigmoid(f) * c + sigmoid(i) * torch.tanh(n)
        h = sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return outputs


def rhn(d, x_TI):
    s, outputs = torch.zeros(H, dtype=torch.float64), []
    W, U, b = d.weight_ih.split(H), d.weight_hh.split(H), (d.bias_ih + d.bias_hh).split(H)
    for x in x_TI:
        for micro in range(3):
            n, t = U[2 * micro] @ s + b[2 * micro], U[2 * micro + 1] @ s + b[2 * micro + 1]
            if micro == 0:
                n, t = n + W[0] @ x, t + W[1] @ x
            s = sigmoid(t) * torch.tanh(n) + (1 - sigmoid(t)) * s
        outputs.append(s)
    return outputs


def fast_weights(d, x_TI):
    h, A, outputs = torch.zeros(H, dtype=torch.float64), torch.zeros(H, H, dtype=torch.float64), []
    for x in x_TI:
        A = 0.95 * A + 0.5 * torch.outer(h, h)
        a = d.weight_ih @ x + d.bias_ih + d.weight_hh @ h + d.bias_hh
        a = a + A @ torch.tanh(a)
        h = torch.tanh((a - a.mean()) / torch.sqrt(a.var(correction=0) + 1e-5))
        outputs.append(h)
    return outputs


LOOPS = {"indrnn": indrnn, "sru": sru, "mlstm": mlstm, "rhn": rhn, "fast_weights": fast_weights}
SHAPES = {  # of weight_ih and weight_hh
    "indrnn": ((H, I), (H,)),
    "sru": ((3 * H, I), None),
    "mlstm": ((5 * H, I), (5 * H, H)),
    "rhn": ((2 * H, I), (6 * H, H)),
    "fast_weights": ((H, I), (H, H)),
}
every_cell = pytest.mark.parametrize("name", LOOPS)


def build(name, **options):
    torch.manual_seed(0)
    model = registry.build("model", {"name": name, "hidden_size": H, **options}, I).double()
    for weight in model.parameters():  # nothing may stay zero, or it would not be tested
        nn.init.uniform_(weight, -1, 1)
    return model


def draw(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def same(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def loss_of(y, state):
    return y.sin().sum() + sum((part * part).sum() for part in state)


@every_cell
def test_outputs_and_gradients_are_those_of_a_naive_loop(name):
    model, x_BTI = build(name), draw(3, 6, I).requires_grad_()
    direction = model.layers[0][0]
    weights = [x_BTI, *model.parameters()]
    y_BTH, _ = model(x_BTI)
    naive_BTH = torch.stack([torch.stack(LOOPS[name](direction, x_TI)) for x_TI in x_BTI])
    same(y_BTH, naive_BTH)
    found = torch.autograd.grad(y_BTH.sin().sum(), weights)
    same(found, torch.autograd.grad(naive_BTH.sin().sum(), weights))


@every_cell
def test_every_row_of_every_weight_is_used(name):
    model = build(name)
    shapes = {key: tuple(weight.shape) for key, weight in model.layers[0][0].named_parameters()}
    assert (shapes["weight_ih"], shapes.get("weight_hh")) == SHAPES[name]
    loss_of(*model(draw(64, 6, I))).backward()
    for key, weight in model.named_parameters():
        assert (weight.grad != 0).all(), key


OPTIONS = {"num_layers": 2, "bidirectional": True, "zoneout": 0.2, "layer_norm": True, "learned_state": True}


@every_cell
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "options"])
def test_padding_changes_nothing(name, options):
    model, lengths = build(name, **options).eval(), [5, 1, 3, 0]
    x_BTI = draw(4, 5, I)
    start = tuple(draw(*part.shape, seed=number) for number, part in enumerate(model.initial_state(4)))
    for row, length in enumerate(lengths):
        x_BTI[row, length:] = float("nan")
    y_BTH, state = model(x_BTI, torch.tensor(lengths), start)
    for row, length in enumerate(lengths):
        assert (y_BTH[row, length:] == 0).all()
        alone = tuple(part[:, row : row + 1] for part in start)
        if length:
            y, alone = model(x_BTI[row : row + 1, :length], None, alone)
            same(y_BTH[row : row + 1, :length], y)
        for part, own in zip(state, alone, strict=True):
            same(part[:, row : row + 1], own)


@every_cell
def test_chunks_with_carried_state_equal_the_whole(name):
    model, x_BTI = build(name, num_layers=2, zoneout=0.1, learned_state=True).eval(), draw(2, 6, I)
    whole, after = model(x_BTI)
    state, parts = None, []
    for chunk in x_BTI.split([1, 3, 2], dim=1):
        y, state = model(chunk, None, state)
        parts.append(y)
    same(torch.cat(parts, 1), whole)
    same(state, after)


@every_cell
def test_a_learned_state_is_learned(name):
    model = build(name, learned_state=True, bidirectional=True)
    loss_of(*model(3 * draw(64, 5, I))).backward()
    for direction in model.layers[0]:
        read = direction.initial.grad[name == "sru" :]  # an SRU's next step does not read its output
        assert (read != 0).all()
    given = tuple(part.detach() for part in model.initial_state(2))
    same(model(draw(2, 5, I), None, given)[0], model(draw(2, 5, I))[0])


@every_cell
def test_variational_dropout_and_layer_norm_have_the_gradient_of_autograd(name):
    """With layer normalisation, masks and zoneout, the deferred gradients are those of plain products."""
    model, x_BTI, found = build(name, variational_dropout=0.3, layer_norm=True, zoneout=0.2), draw(2, 5, I), []
    weights = list(model.parameters())
    for frozen in (False, True):
        torch.manual_seed(3)
        if frozen:  # without gradients no product is deferred
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("seqkit.models.projections.deferred_projection", lambda part, *_: part.apply)
                loss = loss_of(*model(x_BTI))
        else:
            loss = loss_of(*model(x_BTI))
        found.append([loss, *torch.autograd.grad(loss, weights)])
    same(*found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["indrnn", "mlstm", "rhn"])
def test_a_compiled_step_gives_the_same(name):
    found = []
    for backend in ("reference", "compiled"):
        options = {"num_layers": 2, "layer_norm": name != "indrnn", "zoneout": 0.2, "variational_dropout": 0.3}
        model = build(name, **options, backend=backend)
        torch.manual_seed(1)
        y, state = model(draw(2, 5, I), torch.tensor([5, 2]))
        found.append([y, *torch.autograd.grad(loss_of(y, state), list(model.parameters()))])
    same(*found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("sru", "is given the input itself (wants_input)"), ("fast_weights", "sums over units (aten.sum.dim_IntList)")],
)
def test_another_step_runs_as_it_is(name, reason):
    assert build(name).backends()[0].reason.endswith(f".step {reason}")


RECORDED = {
    "indrnn": {"hidden"},
    "sru": {"forget", "reset"},
    "mlstm": {"input", "forget", "cell", "output"},
    "rhn": {f"{gate}{micro}" for gate in ("candidate", "transform") for micro in (1, 2, 3)},
    "fast_weights": {"hidden"},
}


@every_cell
def test_gates_and_states_are_recorded(name):
    model, lengths = build(name, bidirectional=True), torch.tensor([5, 3])
    expected, _ = model(draw(2, 5, I), lengths)
    with torch.no_grad(), seqkit.record_gates(model) as gates:
        y_BTH, _ = model(draw(2, 5, I), lengths)
    same(y_BTH, expected.detach())
    cell = model.layers[0][0].cell
    for way in ("forward", "backward"):
        assert {key.rpartition(".")[2] for key in gates if f"{way}.gate" in key} == RECORDED[name]
        assert {key.rpartition(".")[2] for key in gates if f"{way}.state" in key} == set(cell.states)
    same(torch.cat([gates[f"layer0.{way}.state.hidden"] for way in ("forward", "backward")], 2), y_BTH)
    if name == "fast_weights":
        assert gates["layer0.forward.state.fast"].shape == (2, 5, H, H)


@every_cell
def test_half_precision_and_float_agree(name):
    model, x_BTI = build(name).float(), draw(2, 5, I).float()
    with torch.autocast("cpu", torch.bfloat16):
        y, state = model(x_BTI)
        y.float().sum().backward()
    torch.testing.assert_close(y.float(), model(x_BTI, None, None)[0], rtol=0, atol=0.1)
    assert all(part.dtype == torch.float32 for part in state)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sru", "fast_weights", "indrnn", "mlstm", "rhn"])
def test_a_life(name):
    """Killed and resumed bit for bit, and streamed as the whole: by a command too what tests/testing checks of each."""
    overrides = [*ADDING, f"model={name}", "trainer.max_steps=6"]
    seqkit.train([*overrides, "id=whole"])
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, "training_step", 5, die_by_exception)
        with pytest.raises(Killed):
            seqkit.train([*overrides, "id=killed"])
    resume(Path("runs/adding/killed"))
    assert_equal(outcome("runs/adding/killed"), outcome("runs/adding/whole"))

    trained = seqkit.load("runs/adding/whole")
    rows = torch.rand(9, 2)
    with torch.no_grad():
        whole, _, _ = trained.network(seqkit.Batch(rows[None]))
    stream = trained.stream()
    for chunk in rows.split([1, 5, 3]):
        stream.feed(chunk.numpy())
    torch.testing.assert_close(stream.outputs, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("one_table_of_translations")
@pytest.mark.parametrize(
    ("name", "format"),
    [
        *((name, "torch") for name in ("indrnn", "sru")),
        ("fast_weights", "onnx"),
        *(pytest.param(name, "torch", marks=pytest.mark.slow) for name in ("mlstm", "rhn", "fast_weights")),
        *(pytest.param(name, "onnx", marks=pytest.mark.slow) for name in ("indrnn", "sru", "mlstm", "rhn")),
    ],
)
def test_it_is_exported(name, format):
    torch.manual_seed(0)
    spec = DataSpec(Frames(("a", "b"), (0.0, 0.0), (1.0, 1.0)), Classes(("no", "yes"), (3, 4)))
    model = {"name": name, "hidden_size": H, "zoneout": 0.1, "learned_state": True}
    network = assemble({"frontend": None, "head": None, "model": model}, spec).eval().requires_grad_(False)
    _, about = write(network, spec, format)
    assert about["layers"] == [f"a scan over {type(network.model.layers[0][0].cell).__name__}.step"]
    assert about["difference"] < 1e-5


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("indrnn", "projection_size", 2, "IndRNN has no recurrent matrix U; set model.projection_size=null"),
        (
            "indrnn",
            "recurrent_init",
            "orthogonal",
            "IndRNN has no recurrent matrix U; set model.recurrent_init=uniform",
        ),
        ("indrnn", "forget_bias", 1.0, "IndRNN has no gate named forget; set model.forget_bias=null"),
        ("sru", "projection_size", 2, "SRU has no recurrent matrix U; set model.projection_size=null"),
        ("sru", "recurrent_init", "orthogonal", "SRU has no recurrent matrix U; set model.recurrent_init=uniform"),
        ("sru", "weight_dropout", 0.5, "SRU has no recurrent weights; set model.weight_dropout=0"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(name, option, value, message):
    with pytest.raises(ConfigError) as error:
        build(name, **{option: value})
    assert str(error.value) == f"model.{option}={value}: {message}"


def test_weight_dropout_zeroes_elements_of_a_diagonal():
    model, x_BTI = build("indrnn", weight_dropout=0.5), draw(2, 5, I)
    torch.manual_seed(0)
    got = model(x_BTI)[0]
    torch.manual_seed(0)  # the same draw, written out
    mask_H = nn.functional.dropout(torch.ones(H, dtype=torch.float64), 0.5)
    assert set(mask_H.tolist()) == {0.0, 2.0}
    with torch.no_grad():
        model.layers[0][0].weight_hh *= mask_H
    same(got, model.eval()(x_BTI)[0])


def test_what_has_no_u_is_not_normalised_or_masked_there():
    model = build("sru", layer_norm=True, variational_dropout=0.5)
    names = {key for key, _ in model.layers[0][0].named_parameters()}
    assert "gain_ih" in names
    assert not names & {"gain_hh", "weight_hh", "bias_hh"}


@pytest.mark.slow
@every_cell
def test_the_suite_for_authors_refuses_none(name):
    check_cell(name)


def test_a_cell_made_from_both_sizes_has_them_in_their_order():
    model = build("sru", num_layers=2)
    first, second = model.layers[0][0].cell, model.layers[1][0].cell
    assert first.skip.weight.shape == (H, I)
    assert isinstance(second.skip, nn.Identity)


def test_depth_is_an_option():
    model = build("rhn", depth=5)
    assert isinstance(model, Recurrent)
    assert model.layers[0][0].weight_hh.shape == (10 * H, H)
    assert model.layers[0][0].weight_ih.shape == (2 * H, I)
