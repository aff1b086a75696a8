"""The fused LSTM against the plain loop over the cells' equations, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqkit.models.kernels.fused_lstm import fused_lstm
from seqkit.models.kernels.stepwise import stepwise
from seqkit.models.lstm import LSTM
from seqkit.models.peephole_lstm import PeepholeLSTM

torch.set_num_threads(1)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def problem(T: int, B: int, I: int, H: int, peephole: bool, lengths=None):  # noqa: E741
    """Return the leaves of a graph (x, h, c, the four weights, peepholes if any) and functions that run both loops."""
    cell = PeepholeLSTM(H) if peephole else LSTM(H)
    if peephole:
        del cell.peephole  # the parameter, so that a leaf of the graph can stand in its place
    shapes = [(T, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,)] + [(3, H)] * peephole
    leaves = [draw(*shape).requires_grad_() for shape in shapes]

    def fused(x, h, c, w, u, b, d, p=None):
        y, state = fused_lstm(x, lengths, (w, u, b, d), p, (h, c))
        return y, *state

    def plain(x, h, c, w, u, b, d, p=None):
        if p is not None:
            cell.peephole = p
        y, state = stepwise(cell.step, cell.gates, x, lengths, (w, u, b, d), (h, c))
        return y, *state

    return leaves, fused, plain


def valid(lengths, T: int, B: int) -> Tensor:
    if lengths is None:
        return torch.ones(T, B, 1, dtype=torch.bool)
    return (torch.arange(T)[:, None] < lengths)[:, :, None]


def same(got, expected) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_values_and_all_gradients_are_those_of_the_plain_loop(data):
    size = st.integers(1, 4)
    T, B, I, H = data.draw(size, "T"), data.draw(size, "B"), data.draw(size, "I"), data.draw(size, "H")  # noqa: E741
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B), "lengths")
    lengths = None if lengths is None else torch.tensor(lengths)
    used = data.draw(st.lists(st.booleans(), min_size=3, max_size=3).filter(any), "outputs in the loss")
    torch.manual_seed(data.draw(st.integers(0, 1000), "seed"))
    leaves, fused, plain = problem(T, B, I, H, data.draw(st.booleans(), "peephole"), lengths)
    for leaf in leaves:
        leaf.requires_grad_(data.draw(st.booleans(), "needs gradient"))
    leaves[0].requires_grad_()

    grads = []
    coefficients = [draw(T, B, H) * valid(lengths, T, B), draw(B, H), draw(B, H)]
    outputs = [function(*leaves) for function in (fused, plain)]
    same(outputs[0][0] * valid(lengths, T, B), outputs[1][0] * valid(lengths, T, B))
    same(outputs[0][1:], outputs[1][1:])
    needing = [leaf for leaf in leaves if leaf.requires_grad]
    for values in outputs:
        terms = [(v * k).sum() for v, k, use in zip(values, coefficients, used, strict=True) if use]
        grads.append(torch.autograd.grad(sum(terms), needing, allow_unused=True, materialize_grads=True))
    same(*grads)


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 1])], ids=["whole", "padded"])
def test_gradcheck(peephole, lengths):
    torch.manual_seed(0)
    leaves, fused, _ = problem(3, 2, 2, 2, peephole, lengths)
    mask = valid(lengths, 3, 2)
    assert torch.autograd.gradcheck(lambda *args: (fused(*args)[0] * mask, *fused(*args)[1:]), leaves)


def test_input_need_not_be_contiguous():
    torch.manual_seed(0)
    leaves, fused, plain = problem(3, 4, 2, 5, True)
    x = draw(4, 3, 4).transpose(0, 1)[:, :, ::2].requires_grad_()
    h = draw(5, 4).t()
    args = [x, h, *leaves[2:]]
    same(fused(*args), plain(*args))
    same(*(torch.autograd.grad(f(*args)[0].square().sum(), leaves[2:]) for f in (fused, plain)))


def test_two_uses_in_one_graph_add_up():
    torch.manual_seed(0)
    leaves, fused, plain = problem(3, 2, 2, 2, True)

    def twice(function):
        y, h, c = function(*leaves)
        return function(y, h, c, *leaves[3:])[0].square().sum()

    same(*(torch.autograd.grad(twice(function), leaves) for function in (fused, plain)))


def test_a_graph_kept_gives_the_same_gradients_again():
    torch.manual_seed(0)
    leaves, fused, _ = problem(3, 2, 2, 2, True)
    loss = fused(*leaves)[0].sum()
    same(torch.autograd.grad(loss, leaves, retain_graph=True), torch.autograd.grad(loss, leaves))


def test_without_gradients_it_gives_the_same_values():
    torch.manual_seed(0)
    leaves, fused, _ = problem(3, 2, 2, 2, True)
    expected = fused(*leaves)
    with torch.no_grad():
        got = fused(*leaves)
    assert not got[0].requires_grad
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_gradient_of_a_gradient_is_refused():
    torch.manual_seed(0)
    leaves, fused, _ = problem(3, 2, 2, 2, True)
    (grad,) = torch.autograd.grad(fused(*leaves)[0].square().sum(), leaves[1], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice a function that was marked with @once_differentiable"):
        grad.sum().backward()


def test_backward_inside_autocast_stays_exact():
    torch.manual_seed(0)
    leaves, fused, _ = problem(3, 2, 2, 2, True)
    loss = fused(*leaves)[0].sum()
    expected = torch.autograd.grad(loss, leaves, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        got = torch.autograd.grad(loss, leaves[1:3] + leaves[4:5] + leaves[7:])  # those inside the autograd function
    same(got, expected[1:3] + expected[4:5] + expected[7:])
