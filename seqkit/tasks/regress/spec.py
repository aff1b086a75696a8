"""Regression: the numbers to predict for a sequence."""

# B batch, C targets

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.registry import register_task
from seqkit.tasks.regress.prediction import NumberPrediction


@register_task("regress")
@dataclass(frozen=True)
class Numbers:
    """One or more numbers per sequence.

    Attributes:
        names: Of the numbers.
        mean: Of the training split, one per name, in the units of the data.
        scale: Standard deviation of the training split, likewise.
    """

    head: ClassVar[str] = "regress"
    examples: ClassVar[int] = 1000  # points of the figure
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.regress.metrics import RegressMetrics  # torchmetrics is slow to import

        return RegressMetrics(self.names, self.mean, self.scale)

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        """Return the baseline: the mean of the training split."""
        mean_C = torch.tensor(self.mean, dtype=torch.float64)
        return {"training mean": lambda batch: NumberPrediction(mean_C.expand(len(batch), -1))}

    def figures(self, results: Results) -> dict[str, Any]:
        from seqkit.tasks.regress.figures import scatter

        assert results.batch.targets is not None
        return {"predictions": scatter(results.batch.targets, results.prediction.values_BC, self.names)}

    def answers(self, prediction: NumberPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row its numbers by name."""
        return [dict(zip(self.names, values_C, strict=True)) for values_C in prediction.values_BC.tolist()]

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row with the numbers."""
        return [answer]

    def text(self, answer: dict[str, Any]) -> str:
        return ", ".join(f"{name} {value:.6g}" for name, value in answer.items())
