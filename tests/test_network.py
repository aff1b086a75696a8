"""The three parts as one, and the state that is carried between batches."""

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.models import Recurrent
from seqkit.models.cells.gru import GRU
from seqkit.network import assemble, carry, network_weights
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken

TEXT = DataSpec(Tokens(Characters(("<unk>", "a", "b"))), NextToken())
SERIES = DataSpec(Frames(("x",), (0.0,), (1.0,)), Series(2, ("x",), (0.0,), (1.0,), 5, None))
SOUND = DataSpec(Waveform(8000), Classes(("no", "yes"), (3, 4)))


def config(**chosen):
    return {"frontend": None, "model": {"name": "lstm", "hidden_size": 4}, "head": None, **chosen}


@pytest.mark.parametrize(("spec", "inputs", "shape"), [
    (TEXT, torch.ones(2, 5, dtype=torch.long), (2, 5, 3)),
    (SERIES, torch.randn(2, 5, 1), (2, 2, 1)),
    (SOUND, torch.randn(2, 4000), (2, 2)),
])  # fmt: skip
def test_the_ends_are_chosen_by_the_spec(spec, inputs, shape):
    outputs, _, state = assemble(config(), spec)(Batch(inputs))
    assert outputs.shape == shape
    assert [part.shape for part in state] == [(1, 2, 4)] * 2


@pytest.mark.parametrize(("spec", "chosen", "line"), [
    (TEXT, {"model": {"name": "lstm", "bidirectional": True}}, "set model.bidirectional=false"),
    (TEXT, {"head": {"name": "forecast"}}, "use head=next_token"),
    (SERIES, {"head": {"name": "next_token"}}, "use head=forecast"),
    (SOUND, {"head": {"name": "transcribe"}}, "use head=classify"),
    (SERIES, {"frontend": {"name": "embedding"}}, "use frontend=frames"),
    (TEXT, {"frontend": {"name": "logmel"}}, "use frontend=embedding"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_refused(spec, chosen, line):
    with pytest.raises(ConfigError) as refusal:
        assemble(config(**chosen), spec)
    assert str(refusal.value).endswith(line)
    assert "\n" not in str(refusal.value)


def test_more_rows_than_before_must_all_be_new():
    state = (torch.ones(1, 2, 4),)
    assert carry(state, Batch(torch.zeros(3, 1), fresh_B=torch.tensor([True] * 3)), None) is None
    with pytest.raises(AssertionError):
        carry(state, Batch(torch.zeros(3, 1), fresh_B=torch.tensor([True, False, True])), None)


def test_rows_start_anew_from_the_learned_state_which_has_a_gradient():
    model = Recurrent(GRU, 1, hidden_size=4, num_layers=2, learned_state=True)
    for direction in (model.layers[0][0], model.layers[1][0]):
        torch.nn.init.normal_(direction.initial)
    old = torch.randn(2, 3, 4, requires_grad=True)
    batch = Batch(torch.randn(2, 5, 1), fresh_B=torch.tensor([False, True]))
    (start,) = carry((old,), batch, model)
    assert torch.equal(start[:, 0], old[:, 0])
    assert torch.equal(start[:, 1], torch.stack([layer[0].initial[0] for layer in model.layers]))
    model(batch.inputs, None, (start,))[0].sum().backward()
    assert old.grad is None
    assert all(layer[0].initial.grad.abs().sum() > 0 for layer in model.layers)


def test_weights_of_a_checkpoint():
    network = assemble(config(), TEXT)
    saved = {"state_dict": {f"network.{name}": value for name, value in network.state_dict().items()}}
    network.load_state_dict(network_weights(saved))
