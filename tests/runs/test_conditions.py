import torch

from seqkit.models.backends.fused import library
from seqkit.network import assemble
from seqkit.runs.conditions import conditions, difference_reason
from tests.compilers import needs_compiler
from tests.test_network import TEXT, config


def test_conditions_are_plain_strings_and_the_same_when_asked_again():
    network = assemble(config(), TEXT)
    first = conditions(network, torch.device("cpu"))
    assert all(type(key) is str and type(value) is str for key, value in first.items())
    assert first["threads"] == "1"
    assert {"layer 0", "layer 0, padded"} <= first.keys()
    assert difference_reason(first, conditions(network, torch.device("cpu"))) == ""


@needs_compiler
def test_loops_of_another_compiler_differ(monkeypatch):
    network = assemble(config(), TEXT)
    first = conditions(network, torch.device("cpu"))
    monkeypatch.setattr(library, "fingerprint", lambda dtype: f"another for {dtype}")
    now = conditions(network, torch.device("cpu"))
    assert difference_reason(first, now) == f"compiled loops {first['compiled loops']}, now another for torch.float32"


def test_differences_are_told_then_and_now():
    assert difference_reason({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == "b 2, now 3; c none, now 4"


def test_what_changes_alike_is_named_once():
    saved = {"layer 0": "native", "threads": "1", "layer 1": "native", "layer 2": "native"}
    now = dict.fromkeys(saved, "fused")
    assert difference_reason(saved, now) == "layer 0 and 2 more native, now fused; threads 1, now fused"
