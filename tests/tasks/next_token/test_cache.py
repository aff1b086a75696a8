import math

import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.tasks.next_token.cache import THETAS, WEIGHTS, CachedHead

SIZES = 4, 7  # H, V


class Linear(nn.Linear):
    def forward(self, y_BTH, lengths_B, batch):
        return super().forward(y_BTH)


def head():
    torch.manual_seed(0)
    return Linear(*SIZES).double()


def by_hand(head, y_TH, targets_T, size, theta, weight):
    """log p of each target of one stream, one by one, as section 3 of the paper has it."""
    found = []
    for t, target in enumerate(targets_T.tolist()):
        p = float(head(y_TH[t], None, None).softmax(0)[target])
        steps = range(max(0, t - size), t)
        if steps:
            near = [math.exp(theta * float(y_TH[t] @ y_TH[i])) for i in steps]
            share = sum(one for one, i in zip(near, steps, strict=True) if targets_T[i] == target) / sum(near)
            p = (1 - weight) * p + weight * share
        found.append(math.log(p))
    return found


def chunks(y_BTH, targets_BT, steps):
    for start in range(0, y_BTH.shape[1], steps):
        own = targets_BT[:, start : start + steps]
        yield y_BTH[:, start : start + steps], Batch(own, None, own, fresh_B=torch.tensor([start == 0] * len(own)))


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("steps", [1, 5, 12])
@torch.no_grad()
def test_probabilities_are_those_of_the_paper_however_a_stream_is_cut(size, steps):
    plain = head()
    y_BTH, targets_BT = torch.randn(2, 12, 4, dtype=torch.double), torch.randint(3, (2, 12))
    cached = CachedHead(plain, size)
    cached.chosen = 1.0, 0.2
    logp_BTV = torch.cat([cached(y, None, batch) for y, batch in chunks(y_BTH, targets_BT, steps)], 1)
    torch.testing.assert_close(logp_BTV.exp().sum(2), torch.ones(2, 12))
    for row in range(2):
        due = by_hand(plain, y_BTH[row], targets_BT[row], size, 1.0, 0.2)
        found = logp_BTV[row].gather(1, targets_BT[row, :, None])[:, 0]
        assert found.tolist() == pytest.approx(due, rel=1e-4, abs=1e-5)


@torch.no_grad()
def test_padding_is_not_remembered_nor_what_another_stream_read():
    plain = head()
    y_BTH, targets_BT = torch.randn(2, 9, 4, dtype=torch.double), torch.randint(3, (2, 9))
    lengths_B = torch.tensor([9, 4])
    together, alone = CachedHead(plain, 5), CachedHead(plain, 5)
    together.chosen = alone.chosen = (0.3, 0.2)
    batch = Batch(targets_BT, lengths_B, targets_BT, fresh_B=torch.tensor([True, True]))
    logp_BTV = together(y_BTH, lengths_B, batch)
    again_BTV = together(y_BTH, lengths_B, batch)  # both start anew
    torch.testing.assert_close(logp_BTV, again_BTV)
    for row, length in enumerate((9, 4)):
        own = targets_BT[row : row + 1, :length]
        due = alone(y_BTH[row : row + 1, :length], None, Batch(own, None, own, fresh_B=torch.tensor([True])))
        torch.testing.assert_close(logp_BTV[row, :length], due[0])


@torch.no_grad()
def test_what_is_chosen_gives_the_best_likelihood_of_the_grid():
    plain = head()
    y_BTH, targets_BT = torch.randn(1, 40, 4, dtype=torch.double), torch.randint(3, (1, 40))
    cached = CachedHead(plain, 10)
    for y, batch in chunks(y_BTH, targets_BT, 16):
        torch.testing.assert_close(cached(y, None, batch), plain(y, None, None).float().log_softmax(-1))
    due = [[-sum(by_hand(plain, y_BTH[0], targets_BT[0], 10, theta, w)) for w in WEIGHTS] for theta in THETAS]
    torch.testing.assert_close(cached.nats, torch.tensor(due, dtype=torch.double), rtol=1e-5, atol=1e-5)
    cached.choose(cached.nats)
    theta, weight = cached.chosen
    assert due[THETAS.index(theta)][WEIGHTS.index(weight)] == min(map(min, due))
