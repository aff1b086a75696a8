"""The head keeps seqkit's contract, and its loss is the one of the paper."""

import pytest
import torch

import seqkit
from seqkit import Batch, Classes, DataSpec, Frames


@pytest.mark.seqkit("head=example")
def test_contract(check):
    check()


@pytest.mark.parametrize("focus", [0, 2])
def test_the_loss_is_that_of_the_paper(focus):
    spec = DataSpec(Frames(("x",), (0.0,), (1.0,)), Classes(("no", "yes"), (1, 1)))
    head = seqkit.build("head", {"name": "example", "focus": focus}, 4, spec, True)
    logits_BC = torch.tensor([[0.0, 0.0], [2.0, -1.0]])
    loss, sequences = head.loss(logits_BC, None, Batch(torch.zeros(2, 5, 1), targets=torch.tensor([1, 1])))
    p_B = logits_BC.softmax(1)[:, 1]
    torch.testing.assert_close(loss, -((1 - p_B) ** focus * p_B.log()).sum())
    assert sequences == 2
