"""The fused loops, in C and in torch, against the reference backend over the cells' equations, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqkit import registry
from seqkit.models.backends.fused import functions

torch.set_num_threads(1)
registry.load_built_in()
CELLS = "lstm", "peephole_lstm", "cifg_lstm", "gru"
LOOPS = {"torch": functions.IN_TORCH, "c": functions.IN_C}
every_cell = pytest.mark.parametrize("name", CELLS)


@pytest.fixture(params=LOOPS)
def loops(request, monkeypatch):
    use(request.param, monkeypatch)
    return request.param


def use(which: str, monkeypatch) -> None:
    reason = LOOPS[which].unavailable_reason(torch.device("cpu"), torch.float64)
    if reason:
        pytest.skip(reason)
    monkeypatch.setattr(functions, "choose_loops", lambda device, dtype: (LOOPS[which], which))


def make(name: str, backend: str, input_size: int = 3, **options):
    torch.manual_seed(0)
    model = registry.build(
        "model", {"name": name, "backend": backend, **{"hidden_size": 4, **options}}, input_size
    ).double()
    for weight in model.parameters():
        torch.nn.init.uniform_(weight, -1, 1)
    return model


def draw(*shape: int):
    return torch.randn(*shape, dtype=torch.float64)


def same(got, expected) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


shares = st.sampled_from([0.0, 0.4])


@settings(max_examples=120, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("which", LOOPS)
def test_values_and_all_gradients_are_those_of_the_plain_loop(which, data):
    name = data.draw(st.sampled_from(CELLS), "cell")
    T, B, I, H = (data.draw(st.integers(1, 5), what) for what in ("steps", "batch", "input", "hidden"))  # noqa: E741
    options = {
        "hidden_size": H,
        "num_layers": data.draw(st.integers(1, 2), "layers"),
        "bidirectional": data.draw(st.booleans(), "both directions"),
        "projection_size": data.draw(st.none() | st.integers(1, H - 1), "projection") if H > 1 else None,
        "residual": data.draw(st.booleans(), "residual"),
        "layer_norm": H > 1 and data.draw(st.booleans(), "layer norm"),
        "learned_state": data.draw(st.booleans(), "learned state"),
        "zoneout": data.draw(shares, "zoneout"),
        "variational_dropout": data.draw(shares, "variational"),
        "weight_dropout": data.draw(shares, "weight dropout"),
        "dropout": data.draw(shares, "dropout"),
    }
    if name != "gru":
        options["zoneout_cell"] = data.draw(st.none() | shares, "zoneout of the cell state")
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B), "lengths")
    lengths = None if lengths is None else torch.tensor(lengths)
    training, frozen = data.draw(st.booleans(), "training"), data.draw(st.integers(0, 7), "frozen")
    carried, seed = data.draw(st.booleans(), "carried"), data.draw(st.integers(0, 99), "seed")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        use(which, patch)
        for backend in ("fused", "reference"):
            model = make(name, backend, I, **options).train(training)
            for number, weight in enumerate(model.parameters()):
                weight.requires_grad_(number % 8 != frozen)
            torch.manual_seed(seed)
            x = draw(I, B, T).permute(1, 2, 0).requires_grad_()  # not contiguous
            state = tuple(draw(*part.shape).requires_grad_() for part in model.initial_state(B)) if carried else None
            y, after = model(x, lengths, state)
            loss = y.sin().sum() + sum((part * draw(*part.shape)).sum() for part in after)
            leaves = [x, *(state or ()), *(weight for weight in model.parameters() if weight.requires_grad)]
            found.append([y, *after, *torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)])
    same(*found)


@every_cell
@pytest.mark.parametrize("options", [{}, {"zoneout": 0.3}, {"layer_norm": True, "zoneout": 0.3}], ids=str)
def test_gradcheck(loops, name, options):
    model = make(name, "fused", **options).eval()
    x = draw(2, 3, 3).requires_grad_()
    state = tuple(draw(*part.shape).requires_grad_() for part in model.initial_state(2))
    names, weights = zip(*model.named_parameters(), strict=True)

    def run(x, *rest):
        start, weights = rest[: len(state)], rest[len(state) :]
        call = dict(zip(names, weights, strict=True))
        y, after = torch.func.functional_call(model, call, (x, torch.tensor([3, 1]), start))
        return y, *after

    assert torch.autograd.gradcheck(run, (x, *state, *weights), fast_mode=True)


@every_cell
def test_two_uses_in_one_graph_add_up(loops, name):
    x, found = draw(2, 3, 4), []
    for backend in ("fused", "reference"):
        model = make(name, backend, 4)
        y, state = model(x)
        model(y, None, state)[0].square().sum().backward()
        found.append([weight.grad for weight in model.parameters()])
    same(*found)


@every_cell
def test_a_graph_kept_gives_the_same_gradients_again(loops, name):
    model = make(name, "fused")
    loss, leaves = model(draw(2, 3, 3))[0].sum(), list(model.parameters())
    same(torch.autograd.grad(loss, leaves, retain_graph=True), torch.autograd.grad(loss, leaves))


@every_cell
def test_without_gradients_it_gives_the_same_values(loops, name):
    model, x = make(name, "fused"), draw(2, 3, 3)
    expected = model(x)[0]
    with torch.no_grad():
        got = model(x)[0]
    assert not got.requires_grad
    assert torch.equal(got, expected)


@every_cell
@pytest.mark.parametrize("power", [torch.square, torch.clone], ids=["squared", "constant"])
def test_gradient_of_a_gradient_is_refused(loops, name, power):
    model, x = make(name, "fused"), draw(2, 3, 3).requires_grad_()
    (grad,) = torch.autograd.grad(power(model(x)[0]).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice a function that was marked with @once_differentiable"):
        grad.sum().backward()


@every_cell
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}], ids=str)
def test_autocast_to_bfloat16_keeps_the_recurrence_in_float32(loops, name, options):
    model, x = make(name, "fused", **options).float(), draw(2, 3, 3).float()
    expected = model(x)[0]
    exact = torch.autograd.grad(expected.sum(), list(model.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)[0]
        grads = torch.autograd.grad(y.sum(), list(model.parameters()))  # backward inside autocast too
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=0, atol=0.03)
    for got, want in zip(grads, exact, strict=True):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, want, rtol=0.05, atol=0.1)


@every_cell
def test_not_a_number_is_not_hidden(loops, name):
    model, x = make(name, "fused"), draw(2, 3, 3)
    x[0, 1, 0] = float("nan")
    y = model(x)[0]
    assert y[0, 1:].isnan().all()
    assert not y[1].isnan().any()
