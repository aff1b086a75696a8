"""Adaptive conformal inference: the levels of calibrated quantiles, moved by what they miss as time goes on.

A quantile of level q is replaced by the one of level a(t), which starts at q and after each window becomes
a + rate * (q - below), where ``below`` is the share of values that lay below the quantile given (Gibbs and Candes 2021,
"Adaptive conformal inference under distribution shift"). Over time as many values lie below as the level says, whatever
the series does. A forecast of several steps is known to be right or wrong only once its rows have been seen, so it
counts for the windows that start after them; the steps of a window share a(t). Between the levels given, quantiles are
interpolated linearly over the quantiles of the normal distribution, beyond them extrapolated.
"""

# B batch, N windows, M windows of one series, D of them until the rows of one have been seen
# F steps of the forecast (horizon), C target columns, Q quantiles

from collections.abc import Sequence

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.prediction import SeriesPrediction

RATES = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01)
"""Among which one is chosen; 0 leaves the levels as they are."""
EXTREME = 0.001
"""Probability that no level is moved beyond."""


class Adaptive:
    """Adapts the quantiles of one window after another, in the order of time, for each series by itself.

    The result does not depend on how windows are put into batches.

    Args:
        rate: Step of the levels.
        levels: Of the quantiles.
        delay: Windows D from one to the first that starts after its rows: the horizon over the stride, rounded up.
    """

    def __init__(self, rate: float, levels: Sequence[float], delay: int) -> None:
        self.rate = rate
        self.delay = delay
        self.levels_Q = torch.tensor(levels, dtype=torch.float64)
        self._moved: dict[int, Tensor] = {}  # per series the level (C, Q) of its last window
        self._pending: dict[int, Tensor] = {}  # and what the last windows (D, C, Q) will move it by

    def __call__(self, prediction: SeriesPrediction, batch: Batch) -> SeriesPrediction:
        """Return the prediction with adapted quantiles, and learn from the targets of the batch.

        Windows without targets are those that start where the rows seen end.
        """
        quantiles_BFCQ = prediction.quantiles_BFCQ
        assert quantiles_BFCQ is not None
        found_BFCQ = quantiles_BFCQ.double().cpu()
        series_B = batch.extras.get("series", torch.zeros(len(batch))).cpu()
        adapted_BFCQ = torch.empty_like(found_BFCQ)
        for series in map(int, series_B.unique().tolist()):
            rows = series_B == series
            if batch.targets is not None:
                adapted_BFCQ[rows] = self.walk(found_BFCQ[rows], batch.targets.double().cpu()[rows], series)
            else:
                adapted_BFCQ[rows] = self._after_all(found_BFCQ[rows], series)
        adapted_BFCQ = adapted_BFCQ.to(quantiles_BFCQ.device)
        return SeriesPrediction(prediction.values_BFC, adapted_BFCQ, prediction.levels)

    def walk(self, quantiles_MFCQ: Tensor, targets_MFC: Tensor, series: int = 0) -> Tensor:
        """Return the adapted quantiles of the next windows of one series, in the order of time.

        Up to D windows at once: what moves their levels are windows before them.
        """
        adapted = []
        parts = (values.split(self.delay) for values in (quantiles_MFCQ, targets_MFC))
        for quantiles_DFCQ, targets_DFC in zip(*parts, strict=True):
            levels_DCQ = self._next(series, quantiles_DFCQ)
            adapted.append(interpolated(quantiles_DFCQ, self.levels_Q, levels_DCQ[:, None]))
            below_DCQ = (targets_DFC[..., None] <= adapted[-1]).double().mean(1)
            moves_DCQ = self.rate * (self.levels_Q - below_DCQ)
            self._moved[series] = levels_DCQ[-1]
            self._pending[series] = torch.cat((self._pending[series][len(moves_DCQ) :], moves_DCQ))
        return torch.cat(adapted)

    def _after_all(self, quantiles_MFCQ: Tensor, series: int) -> Tensor:
        """Return quantiles at the levels that all windows walked over lead to."""
        self._next(series, quantiles_MFCQ)
        moved_CQ = self._moved[series] + self._pending[series].sum(0)
        return interpolated(quantiles_MFCQ, self.levels_Q, moved_CQ)

    def _next(self, series: int, quantiles_MFCQ: Tensor) -> Tensor:
        """Return the levels (M, C, Q) of the next windows, D at most."""
        count, _, targets, levels = quantiles_MFCQ.shape
        if series not in self._moved:
            self._moved[series] = self.levels_Q.expand(targets, levels)
            self._pending[series] = torch.zeros(self.delay, targets, levels, dtype=torch.float64)
        return torch.cat((self._moved[series][None], self._pending[series][:count])).cumsum(0)[1:]


def interpolated(quantiles_MFCQ: Tensor, levels_Q: Tensor, wanted_MFCQ: Tensor) -> Tensor:
    """Return quantiles of other levels, in rising order.

    Args:
        quantiles_MFCQ: Rising; two or more.
        levels_Q: Their levels.
        wanted_MFCQ: The levels wanted, to be broadcast to the quantiles.
    """
    if len(levels_Q) == 1:
        return quantiles_MFCQ
    known_Q = torch.special.ndtri(levels_Q)
    wanted_MFCQ = torch.special.ndtri(wanted_MFCQ.clamp(EXTREME, 1 - EXTREME)).expand_as(quantiles_MFCQ).contiguous()
    above_MFCQ = torch.searchsorted(known_Q, wanted_MFCQ).clamp(1, len(levels_Q) - 1)
    low_MFCQ, high_MFCQ = (quantiles_MFCQ.gather(-1, above_MFCQ - below) for below in (1, 0))
    start_MFCQ, end_MFCQ = known_Q[above_MFCQ - 1], known_Q[above_MFCQ]
    share_MFCQ = (wanted_MFCQ - start_MFCQ) / (end_MFCQ - start_MFCQ)
    return (low_MFCQ + share_MFCQ * (high_MFCQ - low_MFCQ)).sort(-1).values
