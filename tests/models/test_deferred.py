import pytest
import torch

from seqkit.errors import PluginError
from seqkit.models import Recurrent
from seqkit.models.deferred import deferred_projection
from seqkit.models.projections import Projection
from tests.models.test_stack import MGU, build, draw, registered  # noqa: F401 - fixtures


def projected(gain, mask, diagonal=False):
    """Return the parameters of a projection of two gates and three units, and that projection."""
    shape = (6,) if diagonal else (6, 3)
    parameters = [draw(*shape, seed=1).requires_grad_(), draw(6, seed=2).requires_grad_()]
    if gain:
        parameters.append(draw(6, seed=3).requires_grad_())
    mask_BH = draw(4, 3, seed=4) if mask else None
    return parameters, Projection(*parameters[:2], parameters[2] if gain else None, mask_BH, 2)


def loop(apply, h_BH, steps):
    for _ in range(steps):
        h_BH = torch.tanh(apply(h_BH)[:, :3] + apply(h_BH)[:, 3:])
    return h_BH.square().sum()


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("expected", [10, 4, 30])  # calls; ten there are
def test_the_gradient_is_that_of_autograd(gain, mask, diagonal, expected):
    parameters, projection = projected(gain, mask, diagonal)
    h_BH = draw(4, 3, seed=5).requires_grad_()
    one = torch.autograd.grad(loop(projection.apply, h_BH, 5), [*parameters, h_BH])
    other = torch.autograd.grad(loop(deferred_projection(projection, expected, 4), h_BH, 5), [*parameters, h_BH])
    torch.testing.assert_close(other, one)


def test_nothing_is_deferred_where_no_gradient_is_needed():
    (weight, _), projection = projected(False, False)
    with torch.no_grad():
        assert deferred_projection(projection, 3, 4) == projection.apply
    weight.requires_grad_(False)
    assert deferred_projection(projection, 3, 4) == projection.apply


def test_a_second_differentiation_is_rejected():
    (weight, _), projection = projected(False, False)
    loss = loop(deferred_projection(projection, 4, 4), draw(4, 3), 2)
    (first,) = torch.autograd.grad(loss, weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_a_change_in_place_after_the_call_is_rejected():
    _, projection = projected(False, False)
    h_BH = draw(4, 3)
    u_BG = deferred_projection(projection, 1, 4)(h_BH)
    h_BH += 1
    with pytest.raises(PluginError, match="changes in place what it gave to a product"):
        u_BG.sum().backward()


def test_gradient_of_a_gradient_of_the_plain_loop_is_refused_while_it_is_trained(build):  # noqa: F811
    model, x = build("mgu"), draw(2, 5, 3).requires_grad_()
    y, state = model(x)
    for output in (y, state[0]):
        with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
            torch.autograd.grad(output.square().sum(), x, create_graph=True)
    torch.autograd.grad(y.square().sum(), x)  # once, it can
    model.requires_grad_(False)
    assert torch.autograd.gradgradcheck(lambda x: model(x)[0], x)


def test_step_that_changes_what_it_gave_to_recur_is_refused():
    class Changes(MGU):
        def step(self, x_BG, recur, state):
            v = state[0] * 1
            u = recur(v, "forget")
            v += 1
            return (torch.tanh(u + x_BG[:, :4]),)

    with pytest.raises(PluginError, match="changes in place what it gave to a product"):
        Recurrent(Changes, 3, hidden_size=4)
