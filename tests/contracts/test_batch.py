"""Batches, and the state carried between them."""

import torch

from seqkit.contracts.batch import Batch
from seqkit.network import carry


def test_a_batch_moves_as_one():
    batch = Batch(torch.zeros(2, 3), lengths=torch.tensor([3, 1]), fresh_B=torch.tensor([True, False]))
    moved = batch.to("meta")
    assert moved.inputs.device.type == moved.lengths.device.type == moved.fresh_B.device.type == "meta"
    assert moved.targets is None
    assert len(moved) == 2


def test_carry_zeroes_fresh_rows_and_drops_ended_ones():
    state = (torch.arange(1.0, 7.0).view(1, 3, 2),)
    batch = Batch(torch.zeros(2, 1), fresh_B=torch.tensor([False, True]))
    (carried,) = carry(state, batch, None)
    assert carried.tolist() == [[[1.0, 2.0], [0.0, 0.0]]]
    assert carry(state, Batch(torch.zeros(2, 1)), None) is None
    assert carry(None, batch, None) is None
