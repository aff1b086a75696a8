"""Tagging: the tags, and the prediction of one per step of a sequence."""

# B batch, T time

from dataclasses import dataclass
from typing import Any, ClassVar

from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.registry import register_task
from seqkit.tasks.tag.prediction import TagPrediction


@register_task("tag")
@dataclass(frozen=True)
class Tags:
    """A tag per step; a tag's id is its place in ``names``.

    Attributes:
        names: Of the tags.
    """

    head: ClassVar[str] = "tag"
    names: tuple[str, ...]

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.tag.metrics import TagMetrics  # torchmetrics is slow to import

        return TagMetrics(self.names)

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.tag.baselines import baselines

        return baselines(len(self.names), data)

    def figures(self, results: Results) -> dict[str, Any]:
        from seqkit.tasks.classify.figures import confusion_matrix

        return {"confusion_matrix": confusion_matrix(results.metric.confusion.cpu(), self.names)}

    def answers(self, prediction: TagPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row its words, where inputs are words, the tags of its steps, and their probabilities."""
        rows = prediction.tags_BT.tolist()
        ends = [len(row) for row in rows] if prediction.lengths_B is None else prediction.lengths_B.tolist()
        answers: list[dict[str, Any]] = [{} for _ in rows]
        if prediction.inputs is not None and hasattr(spec.inputs, "words"):
            for answer, inputs, end in zip(answers, prediction.inputs, ends, strict=True):
                answer["words"] = spec.inputs.words(inputs[:end])
        for answer, row, end in zip(answers, rows, ends, strict=True):
            answer["tags"] = [self.names[tag] for tag in row[:end]]
        if prediction.probability_BT is not None:
            for answer, values, end in zip(answers, prediction.probability_BT.tolist(), ends, strict=True):
                answer["probabilities"] = values[:end]
        return answers

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row of a table per step, with its word, where there are words, tag and probability."""
        steps = len(answer["tags"])
        words, values = (answer.get(name, [None] * steps) for name in ("words", "probabilities"))
        columns = zip(words, answer["tags"], values, strict=True)
        return [{"word": word, "tag": tag, "probability": value} for word, tag, value in columns]

    def text(self, answer: dict[str, Any]) -> str:
        if "words" not in answer:
            return " ".join(answer["tags"])
        return " ".join(f"{word}/{tag}" for word, tag in zip(answer["words"], answer["tags"], strict=True))
