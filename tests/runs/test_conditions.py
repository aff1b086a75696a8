import torch

from seqkit.network import assemble
from seqkit.runs.conditions import conditions, difference_reason
from tests.test_network import TEXT, config


def test_conditions_are_plain_strings_and_the_same_when_asked_again():
    network = assemble(config(), TEXT)
    first = conditions(network, torch.device("cpu"))
    assert all(type(key) is str and type(value) is str for key, value in first.items())
    assert first["threads"] == "1"
    assert {"layer 0", "layer 0, padded"} <= first.keys()
    assert difference_reason(first, conditions(network, torch.device("cpu"))) == ""


def test_differences_are_told_then_and_now():
    assert difference_reason({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == "b 2, now 3; c none, now 4"
