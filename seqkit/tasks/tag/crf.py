"""Linear-chain conditional random field (Lafferty et al. 2001): likelihood, marginals and the best path (Viterbi)."""

# B batch, T time, C tags

import torch
from torch import Tensor, nn

from seqkit.padding import last_valid, valid


class ConditionalRandomField(nn.Module):
    """Scores of sequences of tags: of each tag at its step, of each pair of neighbours, of the first and the last.

    Args:
        tags: Number of tags C.
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(tags, tags))  # from (row) to (column)
        self.first = nn.Parameter(torch.zeros(tags))
        self.last = nn.Parameter(torch.zeros(tags))

    def score(self, scores_BTC: Tensor, tags_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Return score_B of some tags."""
        mask_BT = valid(lengths_B, tags_BT)
        steps_BT = scores_BTC.gather(2, tags_BT[..., None])[..., 0].masked_fill(~mask_BT, 0)
        pairs_BT = self.transitions[tags_BT[:, :-1], tags_BT[:, 1:]].masked_fill(~mask_BT[:, 1:], 0)
        ends_B = self.first[tags_BT[:, 0]] + self.last[last_valid(tags_BT[..., None], lengths_B)[:, 0]]
        return steps_BT.sum(1) + pairs_BT.sum(1) + ends_B

    def log_partition(self, scores_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Return log_partition_B, the logarithm of the sum over all sequences of tags of exp(score)."""
        mask_BT = valid(lengths_B, scores_BTC)
        alpha_BC = self.first + scores_BTC[:, 0]
        for scores_BC, mask_B in zip(scores_BTC.unbind(1)[1:], mask_BT.unbind(1)[1:], strict=True):
            next_BC = (alpha_BC[..., None] + self.transitions).logsumexp(1) + scores_BC
            alpha_BC = torch.where(mask_B[:, None], next_BC, alpha_BC)
        return (alpha_BC + self.last).logsumexp(1)

    def marginals(self, scores_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Return probability_BTC of each tag at each step: the gradient of the log partition by the scores."""
        with torch.enable_grad():
            inner_BTC = scores_BTC.detach().requires_grad_()
            [probability_BTC] = torch.autograd.grad(self.log_partition(inner_BTC, lengths_B).sum(), inner_BTC)
        return probability_BTC

    def best(self, scores_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Return tags_BT, the sequence of the greatest score; 0 beyond the end of a row."""
        mask_BT = valid(lengths_B, scores_BTC)
        best_BC, origins = self.first + scores_BTC[:, 0], []
        for scores_BC, mask_B in zip(scores_BTC.unbind(1)[1:], mask_BT.unbind(1)[1:], strict=True):
            next_BC, origin_BC = (best_BC[..., None] + self.transitions).max(1)
            best_BC = torch.where(mask_B[:, None], next_BC + scores_BC, best_BC)
            origins.append(origin_BC)
        tag_B = (best_BC + self.last).argmax(1)
        tags = [tag_B]
        for origin_BC, mask_B in zip(reversed(origins), reversed(mask_BT.unbind(1)[1:]), strict=True):
            tag_B = torch.where(mask_B, origin_BC.gather(1, tag_B[:, None])[:, 0], tag_B)
            tags.append(tag_B)
        return torch.stack(tags[::-1], 1).masked_fill(~mask_BT, 0)
