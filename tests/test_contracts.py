"""Batches and specs."""

import json

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.network import carry
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.spec import Transcript

SPECS = [
    DataSpec(Tokens(Characters(("<unk>", "a"))), NextToken()),
    DataSpec(Frames(("x", "y"), (0.0, 1.5), (1.0, 2.0), 0.5), Series(3, ("y",), (1.5,), (2.0,), 10, 24)),
    DataSpec(Frames(("x",), (0.0,), (1.0,)), Series(1, ("sum",), (1.0,), (1.0,))),
    DataSpec(Waveform(8000), Classes(("no", "yes"), (3, 4))),
    DataSpec(Waveform(8000), Transcript(("A", " "))),
]


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_survives_json(spec):
    assert DataSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


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
