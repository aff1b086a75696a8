"""Classification: the classes, and the prediction of one per sequence."""

# B batch, C classes

from dataclasses import dataclass
from typing import Any, ClassVar

from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.inputs.frames.spec import Frames
from seqkit.registry import register_task
from seqkit.tasks.classify.prediction import ClassPrediction


@register_task("classify")
@dataclass(frozen=True)
class Classes:
    """One class per sequence; a class's id is its place in ``names``.

    Attributes:
        names: Of the classes.
        counts: Sequences of each class in the training split.
    """

    head: ClassVar[str] = "classify"
    names: tuple[str, ...]
    counts: tuple[int, ...]

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.classify.metrics import ClassifyMetrics  # torchmetrics is slow to import

        return ClassifyMetrics(len(self.names))

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.classify.baselines import majority_class
        from seqkit.tasks.classify.neighbours import MOST, NearestNeighbour

        found: dict[str, Baseline] = {"majority class": lambda batch: majority_class(self.counts, batch)}
        if isinstance(spec.inputs, Frames) and len(data.part("train")) <= MOST:
            inputs = spec.inputs
            found["nearest neighbour"] = NearestNeighbour(data, inputs.mean, inputs.scale, len(self.names))
        return found

    def figures(self, results: Results) -> dict[str, Any]:
        from seqkit.tasks.classify.figures import confusion_matrix

        return {"confusion_matrix": confusion_matrix(results.metric.confusion.cpu(), self.names)}

    def answers(self, prediction: ClassPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row the label, its probability, and those of all classes, the most probable first."""
        best = prediction.logits_BC.softmax(1).sort(dim=1, descending=True, stable=True)
        rows = []
        for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            probabilities = {self.names[index]: value for index, value in zip(indices, values, strict=True)}
            rows.append({"label": self.names[indices[0]], "probability": values[0], "probabilities": probabilities})
        return rows

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row: the label, its probability, and that of each class in the order of their names."""
        probabilities = {f"p_{name}": answer["probabilities"][name] for name in self.names}
        return [{"label": answer["label"], "probability": answer["probability"], **probabilities}]

    def text(self, answer: dict[str, Any]) -> str:
        return f"{answer['label']} ({answer['probability']:.1%})"
