"""Neural cache (Grave et al. 2017, arXiv:1612.04426): a language model that expects what it has just read."""

# B batch, T time, H output size of the model, V vocabulary, M remembered steps, S = M + T

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.tasks.next_token.prediction import TokenPrediction

THETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


class CachedHead(nn.Module):
    """A head of next tokens, mixed with a cache of the last outputs of the model and the token after each.

    p(w) = (1 - weight) p_head(w) + weight p_cache(w), where p_cache(w) is the sum of softmax(theta h_t . h_i) over the
    remembered steps i that w came after. A stream remembers its own steps only, so that the batch size changes nothing.
    Before ``choose`` the outputs are those of the head, and what each of some values of theta and weight would give is
    added up.

    Args:
        head: Of next tokens, in evaluation mode.
        size: Steps to remember.

    Attributes:
        nats: Negative log likelihood of all targets so far by THETAS and WEIGHTS.
        chosen: Theta and weight.
    """

    def __init__(self, head: Any, size: int) -> None:
        super().__init__()
        self.head, self.size = head, size
        self.nats = torch.zeros(len(THETAS), len(WEIGHTS), dtype=torch.float64)
        self.chosen: tuple[float, float] | None = None
        self._remembered: list[tuple[Tensor, Tensor]] = []  # by row: outputs (M, H), tokens (M,)

    def choose(self, nats: Tensor) -> None:
        """Use the theta and weight of the smallest of ``nats``, which is laid out as the attribute."""
        theta, weight = divmod(int(nats.argmin()), len(WEIGHTS))
        self.chosen = THETAS[theta], WEIGHTS[weight]
        self._remembered = []

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Return the log probabilities (B, T, V); ``batch`` needs targets."""
        logp_BTV = self.head(y_BTH, lengths_B, batch).float().log_softmax(-1)
        for row, (scores_TS, tokens_S, own_T) in enumerate(self._recalled(y_BTH, lengths_B, batch)):
            logp_TV = logp_BTV[row, : len(own_T)]
            if self.chosen is None:
                if batch.counts:
                    self.nats += _nats(scores_TS, tokens_S, own_T, logp_TV).cpu()
                continue
            theta, weight = self.chosen
            weight_T1 = weight * scores_TS.isfinite().any(1, keepdim=True)  # 0 where nothing is remembered yet
            kinds_U, place_S = tokens_S.unique(return_inverse=True)
            attention_TS = (theta * scores_TS).softmax(1).nan_to_num(0)
            cached_TU = attention_TS.new_zeros(len(own_T), len(kinds_U)).index_add_(1, place_S, attention_TS)
            logp_TV += (1 - weight_T1).log()
            logp_TV[:, kinds_U] = torch.logaddexp(logp_TV[:, kinds_U], (weight_T1 * cached_TU).log())
        return logp_BTV

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> TokenPrediction:
        return TokenPrediction(outputs, lengths)

    def _recalled(
        self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield for each row h_t . h_i (T, S), -inf where i is not remembered at t, and the tokens after i and t."""
        assert batch.targets is not None
        before, self._remembered = self._remembered, []
        for row, y_TH in enumerate(y_BTH.float()):
            own_T = batch.targets[row]
            if lengths_B is not None:
                y_TH, own_T = y_TH[: lengths_B[row]], own_T[: lengths_B[row]]
            if batch.fresh_B is None or batch.fresh_B[row]:
                remembered = 0
                keys_SH, tokens_S = y_TH, own_T
            else:
                remembered = len(before[row][1])
                keys_SH, tokens_S = (torch.cat(both) for both in zip(before[row], (y_TH, own_T), strict=True))
            now_T1 = remembered + torch.arange(len(own_T), device=y_TH.device)[:, None]
            step_S = torch.arange(len(tokens_S), device=y_TH.device)
            there_TS = (step_S < now_T1) & (step_S >= now_T1 - self.size)
            yield (y_TH @ keys_SH.T).masked_fill(~there_TS, -torch.inf), tokens_S, own_T
            self._remembered.append((keys_SH[-self.size :], tokens_S[-self.size :]))


def _nats(scores_TS: Tensor, tokens_S: Tensor, own_T: Tensor, logp_TV: Tensor) -> Tensor:
    """Return the negative log likelihood of a row's targets by THETAS and WEIGHTS."""
    p_T = logp_TV.double().gather(1, own_T[:, None])[:, 0].exp()
    same_TS, some_T = tokens_S == own_T[:, None], scores_TS.isfinite().any(1)
    weights_W = torch.tensor(WEIGHTS, dtype=torch.float64, device=p_T.device)
    found = []
    for theta in THETAS:
        cached_T = (theta * scores_TS).softmax(1).nan_to_num(0).mul(same_TS).sum(1)
        weights_TW = weights_W * some_T[:, None]
        found.append(-((1 - weights_TW) * p_T[:, None] + weights_TW * cached_T[:, None]).log().sum(0))
    return torch.stack(found)
