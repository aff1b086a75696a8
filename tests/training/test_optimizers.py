import pytest
import torch
from torch import nn

from seqkit.errors import ConfigError
from seqkit.registry import build
from seqkit.training.optimizers import parameter_groups, with_weight_decay


class Cell(nn.Module):
    no_decay = ("peepholes", "initial")

    def __init__(self) -> None:
        super().__init__()
        self.peepholes = nn.Parameter(torch.ones(3, 4))
        self.initial = nn.Parameter(torch.ones(2, 4))
        self.weight = nn.Parameter(torch.ones(4, 4))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.cell = Cell()
        self.tied = self.linear
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)


def test_roles_decide_what_is_decayed():
    decayed, exempt = parameter_groups(Net())
    assert (decayed["names"], decayed["decay"]) == (["linear.weight", "cell.weight"], True)
    assert (exempt["names"], exempt["decay"]) == (["linear.bias", "cell.peepholes", "cell.initial"], False)


def test_weight_decay_is_set_by_group():
    assert [group["weight_decay"] for group in with_weight_decay(parameter_groups(Net()), 0.1)] == [0.1, 0.0]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_without_a_gradient_only_what_is_decayed_shrinks(name):
    net = Net()
    optimizer = build("optimizer", {"name": name, "lr": 0.1, "weight_decay": 0.5}, parameter_groups(net))
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(net.cell.weight, torch.full((4, 4), 0.95))
    assert torch.equal(net.cell.peepholes, torch.ones(3, 4))
    assert torch.equal(net.cell.initial, torch.ones(2, 4))


def test_an_optimizer_of_torch_takes_the_groups_as_they_are():
    optimizer = torch.optim.Adam(parameter_groups(Net()), lr=0.1)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 3]


def test_nesterov_needs_momentum():
    with pytest.raises(ConfigError, match="needs optimizer.momentum above 0"):
        build("optimizer", {"name": "sgd", "nesterov": True}, parameter_groups(Net()))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_longest_name_that_holds_a_parameter_says_its_rate(name):
    factors = {"cell": 0.5, "cell.weight": 2.0}
    optimizer = build("optimizer", {"name": name, "lr": 0.1, "groups": factors}, parameter_groups(Net()))
    rates = {own: group["lr"] for group in optimizer.param_groups for own in group["names"]}
    assert rates == {
        "linear.weight": 0.1, "linear.bias": 0.1, "cell.peepholes": 0.05, "cell.initial": 0.05, "cell.weight": 0.2
    }  # fmt: skip
    assert {own: group["decay"] for group in optimizer.param_groups for own in group["names"]}[
        "cell.peepholes"
    ] is False


def test_a_rate_of_what_is_not_trained_is_refused():
    for name, near in (("cells", "Did you mean 'cell'"), ("frozen", "freeze=")):
        with pytest.raises(ConfigError, match=f"no trained parameter is in '{name}'.*{near}"):
            build("optimizer", {"name": "adamw", "groups": {name: 2.0}}, parameter_groups(Net()))
