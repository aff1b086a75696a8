"""Every option of the stack on every registered cell, and on one as a plugin would write it."""

import pytest
import torch
from torch import nn

from seqkit import registry
from seqkit.models.projections import normalise
from tests.models.test_stack import build, draw, every_model, initial, of, registered, same, with_matrix  # noqa: F401

torch.set_num_threads(1)
EVALUATED = [
    {"projection_size": 2},
    {"num_layers": 3, "residual": True},
    {"zoneout": 0.3},
    {"layer_norm": True},
    {"learned_state": True},
    {
        "num_layers": 2,
        "projection_size": 3,
        "residual": True,
        "zoneout": 0.2,
        "layer_norm": True,
        "learned_state": True,
    },
]
every_option = pytest.mark.parametrize("options", EVALUATED, ids=str)


def directions(model):
    return [direction for layer in model.layers for direction in layer]


@every_model
@every_option
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
def test_padding_changes_nothing(build, name, options, bidirectional):  # noqa: F811
    model = build(name, bidirectional=bidirectional, **of(name, options)).eval()
    lengths, x, start = [5, 1, 3, 0], draw(4, 5, 3), initial(model, 4)
    for row, length in enumerate(lengths):
        x[row, length:] = float("nan")
    y, state = model(x, torch.tensor(lengths), start)
    for row, length in enumerate(lengths):
        assert (y[row, length:] == 0).all()
        alone = tuple(part[:, row : row + 1] for part in start)
        if length:
            y_row, alone = model(x[row : row + 1, :length], None, alone)
            same(y[row : row + 1, :length], y_row)
        for part, part_row in zip(state, alone, strict=True):
            same(part[:, row : row + 1], part_row)


@every_model
@every_option
def test_chunks_with_carried_state_equal_the_whole(build, name, options):  # noqa: F811
    model, x = build(name, **of(name, options)).eval(), draw(2, 6, 3)
    whole, after = model(x)
    state, parts = None, []
    for chunk in x.split([1, 3, 2], dim=1):
        y, state = model(chunk, None, state)
        parts.append(y)
    same(torch.cat(parts, 1), whole)
    same(state, after)


@with_matrix
def test_projection_is_what_output_and_recurrence_see(build, name):  # noqa: F811
    model, x = build(name, projection_size=2), draw(2, 5, 3)
    plain, ours = build(name), model.layers[0][0]
    theirs = plain.layers[0][0]
    theirs.load_state_dict({**ours.state_dict(), "weight_hh": ours.weight_hh @ ours.weight_hr}, strict=False)
    same(model(x)[0], plain(x)[0] @ ours.weight_hr.t())
    assert model.output_size == 2


@every_model
def test_residual_adds_the_input_of_later_layers(build, name):  # noqa: F811
    model, x = build(name, num_layers=2, residual=True), draw(2, 5, 3)
    first, second = build(name), registry.build("model", {"name": name, "hidden_size": 4}, 4).double()
    first.layers[0].load_state_dict(model.layers[0].state_dict())
    second.layers[0].load_state_dict(model.layers[1].state_dict())
    y = first(x)[0]
    same(model(x)[0], second(y)[0] + y)


@with_matrix
def test_variational_dropout_has_one_mask_a_sequence(build, name):  # noqa: F811
    model, x = build(name, variational_dropout=0.5), draw(8, 6, 3).requires_grad_()
    torch.manual_seed(0)
    model(x)[0].sum().backward()
    dropped_BTI = x.grad == 0
    assert 0 < dropped_BTI.double().mean() < 1
    assert (dropped_BTI == dropped_BTI[:, :1]).all()
    torch.manual_seed(0)  # the same masks, written out: one of the hidden state, drawn first, and one of the input
    mask_BH = nn.functional.dropout(torch.ones(8, 4, dtype=torch.float64), 0.5)
    mask_BI = nn.functional.dropout(torch.ones(8, 3, dtype=torch.float64), 0.5)
    state = tuple(part[0] for part in model.initial_state(8))
    direction, outputs = model.layers[0][0], []
    for x_BI in x.unbind(1):
        x_BG = (x_BI * mask_BI) @ direction.weight_ih.t() + direction.bias_ih

        def recur(h_BH, gate=None):
            u_BG = (h_BH * mask_BH) @ direction.weight_hh.t() + direction.bias_hh
            gates = direction.cell.gates
            return u_BG if gate is None else u_BG.chunk(len(gates), 1)[gates.index(gate)]

        state = direction.cell.step(x_BG, recur, state)
        outputs.append(state[0])
    torch.manual_seed(0)
    same(model(x)[0], torch.stack(outputs, 1))


@every_model
def test_locked_dropout_between_layers_is_one_mask_per_sequence_of_a_call(build, name):  # noqa: F811
    model, x = build(name, num_layers=2, dropout=0.5, locked_dropout=True), draw(8, 6, 3)
    second = registry.build("model", {"name": name, "hidden_size": 4}, 4).double()
    second.layers[0].load_state_dict(model.layers[1].state_dict())
    first, single = model.eval().layers[0], build(name)
    single.layers[0].load_state_dict(first.state_dict())
    lengths_B = torch.tensor([6, 4, 6, 1, 0, 6, 5, 6])
    model.train()
    torch.manual_seed(0)
    found, again = model(x, lengths_B)[0], model(x, lengths_B)[0]
    torch.manual_seed(0)
    mask_BH = nn.functional.dropout(torch.ones(8, 4, dtype=torch.float64), 0.5)
    same(found, second(single(x, lengths_B)[0] * mask_BH[:, None], lengths_B)[0])
    assert not torch.equal(found, again)
    same(model.eval()(x)[0], second(single(x)[0])[0])


@every_model
def test_weight_dropout_zeroes_recurrent_weights(build, name):  # noqa: F811
    model, x = build(name, weight_dropout=0.5), draw(2, 5, 3)
    direction = model.layers[0][0]
    torch.manual_seed(0)
    model(x)[0].sum().backward()
    zero = direction.weight_hh.grad == 0
    assert 0.2 < zero.double().mean() < 0.8
    torch.manual_seed(0)
    got = model(x)[0]
    with torch.no_grad():
        direction.weight_hh.masked_fill_(zero, 0).mul_(2)
    same(got, model.eval()(x)[0])


@every_model
def test_zoneout_keeps_units_in_training_and_their_share_in_evaluation(build, name):  # noqa: F811
    plain, model, x = build(name), build(name, zoneout=0.25), draw(50, 1, 3)
    start = initial(plain, 50)
    _, new = plain(x, None, start)
    _, kept = model.eval()(x, None, start)
    for before, after, mixed in zip(start, new, kept, strict=True):
        same(mixed, 0.25 * before + 0.75 * after)
    _, drawn = model.train()(x, None, start)
    for before, after, one in zip(start, new, drawn, strict=True):
        stays = one == before
        same(one, torch.where(stays, before, after))
        assert 0.1 < stays.double().mean() < 0.4


@every_model
def test_zoneout_of_other_states_can_differ(build, name):  # noqa: F811
    if len(build(name).initial_state(1)) == 1:
        pytest.skip("one state")
    model, x = build(name, zoneout=0.0, zoneout_cell=0.9), draw(50, 1, 3)
    start = initial(model, 50)
    stays = [(one == before).double().mean() for one, before in zip(model(x, None, start)[1], start, strict=True)]
    assert stays[0] == 0
    assert stays[1] > 0.7


@with_matrix
def test_layer_norm_takes_scale_and_mean_of_each_half_of_each_gate_out(build, name):  # noqa: F811
    model, x = build(name, layer_norm=True), draw(2, 5, 3)
    expected = model(x)[0]
    for weight in (model.layers[0][0].weight_ih, model.layers[0][0].weight_hh):
        with torch.no_grad():
            for number, rows in enumerate(weight.chunk(len(model.layers[0][0].cell.gates))):
                rows.mul_(2.0 + number).add_(0.5 * (number + 1) * torch.ones(1, weight.shape[1]))
    torch.testing.assert_close(model(x)[0], expected, rtol=0, atol=1e-2)  # but for the epsilon beside the variance
    values = normalise(draw(3, 8), 2).unflatten(1, (2, 4))
    same(values.mean(-1), torch.zeros(3, 2, dtype=torch.float64))
    torch.testing.assert_close(values.var(-1, correction=0), torch.ones(3, 2, dtype=torch.float64), rtol=0, atol=1e-3)


@every_model
def test_learned_state_is_where_a_sequence_starts(build, name):  # noqa: F811
    model, x = build(name, num_layers=2, bidirectional=True, learned_state=True), draw(3, 5, 3)
    given = tuple(
        torch.stack([direction.initial[number].expand(3, 4) for direction in directions(model)])
        for number in range(len(model.initial_state(3)))
    )
    same(model(x)[0], model(x, None, given)[0])
    model(x)[0].sum().backward()
    assert all((direction.initial.grad != 0).all() for direction in directions(model))


@with_matrix
def test_orthogonal_recurrent_weights(build, name):  # noqa: F811
    torch.manual_seed(0)
    model = registry.build("model", {"name": name, "hidden_size": 6, "recurrent_init": "orthogonal"}, 3)
    direction = model.layers[0][0]
    for gate in direction.cell.gates:
        U = direction.part("weight_hh", gate)
        torch.testing.assert_close(U @ U.t(), torch.eye(6), rtol=0, atol=1e-5)


@every_model
def test_forget_bias_is_that_of_a_forget_gate(build, name):  # noqa: F811
    gates = build(name).layers[0][0].cell.gates
    options = {"name": name, "hidden_size": 4, "num_layers": 2, "bidirectional": True, "forget_bias": 2.5}
    if "forget" not in gates:
        with pytest.raises(
            registry.ConfigError, match=r"^model\.forget_bias=2\.5: \w+ has no gate named forget; set mo"
        ):
            registry.build("model", options, 3)
        return
    for direction in directions(registry.build("model", options, 3)):
        together = direction.part("bias_ih", "forget") + direction.part("bias_hh", "forget")
        assert torch.equal(together, torch.full((4,), 2.5))
        assert direction.part("bias_ih", gates[-1]).abs().max() <= 0.5


@pytest.mark.slow
@every_model
def test_compiled_step_gives_the_same(build, name):  # noqa: F811
    options = {"num_layers": 2, "layer_norm": "diagonal" not in name, "zoneout": 0.2, "variational_dropout": 0.3}
    x, found = draw(2, 5, 3), []
    for backend in ("reference", "compiled"):
        model = build(name, **options, backend=backend)
        torch.manual_seed(1)
        y, state = model(x, torch.tensor([5, 2]))
        loss = y.sin().sum() + sum(part.sum() for part in state)
        found.append([y, *state, *torch.autograd.grad(loss, list(model.parameters()))])
    same(*found)
