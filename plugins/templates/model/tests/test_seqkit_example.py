"""The model keeps seqkit's contract, and reads as many steps as its kernel has."""

import pytest
import torch

import seqkit


@pytest.mark.seqkit("model=example")
def test_contract(check):
    check()


def test_an_output_reads_as_many_steps_as_the_kernel_has():
    model = seqkit.build("model", {"name": "example", "kernel_size": 3}, 2)
    x_BTI = torch.randn(1, 8, 2)
    other_BTI = x_BTI.clone()
    other_BTI[:, 2] += 1
    changed_T = (model(x_BTI)[0] != model(other_BTI)[0]).any(2)[0]
    assert changed_T.tolist() == [False, False, True, True, True, False, False, False]
