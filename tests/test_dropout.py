import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.dropout import LockedDropout, locked_dropout
from seqkit.inputs.tokens.embedding import Embedding
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Bytes
from seqkit.tasks.next_token.head import NextTokenHead
from seqkit.tasks.next_token.spec import NextToken

SPEC = DataSpec(Tokens(Bytes()), NextToken())


@pytest.mark.parametrize("time", [0, 1])
def test_a_mask_holds_for_all_steps_of_its_sequence(time):
    torch.manual_seed(0)
    x = torch.ones(40, 40, 50)
    found = locked_dropout(x, 0.25, time)
    assert (found == found.narrow(time, 0, 1)).all()
    one = found.select(time, 0)
    assert one.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float((one == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(locked_dropout(x, 0.25, time), found)


def test_none_is_dropped_in_evaluation_nor_with_a_probability_of_0():
    x = torch.randn(2, 3, 4)
    assert LockedDropout(0.5).eval()(x) is x
    assert LockedDropout(0.0).train()(x) is x


def test_an_embedding_and_a_head_drop_the_same_features_at_all_steps():
    embedding = Embedding(SPEC, size=20, dropout=0.5, locked_dropout=True)
    nn.init.ones_(embedding.embedding.weight)
    x_BTI, _ = embedding(torch.zeros(3, 5, dtype=torch.int64))
    assert (x_BTI == x_BTI[:, :1]).all()
    assert 0 < float((x_BTI == 0).float().mean()) < 1
    head = NextTokenHead(20, SPEC, True, dropout=0.5, locked_dropout=True)
    ids_BT = torch.zeros(3, 5, dtype=torch.int64)
    logits_BTV = head(torch.ones(3, 5, 20), None, Batch(ids_BT, targets=ids_BT))
    torch.testing.assert_close(logits_BTV, logits_BTV[:, :1].expand(3, 5, 256))
    assert not torch.allclose(logits_BTV[0], logits_BTV[1])
