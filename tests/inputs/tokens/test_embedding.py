import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.embedding import Embedding
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.next_token.spec import NextToken

SPEC = DataSpec(Tokens(Characters(("<unk>", "a", "b"))), NextToken())


def test_each_token_is_its_row_of_the_table():
    frontend = build("frontend", {"name": "embedding", "size": 5}, SPEC)
    tokens_BT, lengths_B = torch.tensor([[0, 2, 1], [2, 2, 0]]), torch.tensor([3, 1])
    x_BTI, lengths = frontend(tokens_BT, lengths_B)
    assert x_BTI.shape == (2, 3, frontend.output_size) == (2, 3, 5)
    assert torch.equal(x_BTI[1, 0], frontend.embedding.weight[2])
    assert lengths is lengths_B


def test_dropout_is_for_training():
    frontend = Embedding(SPEC, size=100, dropout=0.5)
    tokens_BT = torch.ones(1, 10, dtype=torch.long)
    assert (frontend(tokens_BT, None)[0] == 0).float().mean() > 0.3
    assert torch.equal(frontend.eval()(tokens_BT, None)[0][0, 0], frontend.embedding.weight[1])


@pytest.mark.parametrize(
    ("inputs", "right"), [(Frames(("x",), (0.0,), (1.0,)), "Frames gives"), (Waveform(8000), "Waveform")]
)
def test_refuses_what_is_not_tokens(inputs, right):
    name = {Frames: "frames", Waveform: "logmel"}[type(inputs)]
    with pytest.raises(ConfigError) as caught:
        Embedding(DataSpec(inputs, NextToken()))
    assert str(caught.value) == (
        f"frontend=embedding needs tokens, this data has {type(inputs).__name__}; use frontend={name}"
    )
