"""Transcription: the symbols, and the prediction of a string of them per sequence."""

# B batch

from dataclasses import dataclass
from typing import Any, ClassVar

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.registry import register_task
from seqkit.tasks.transcribe.prediction import TranscriptPrediction


@register_task("transcribe")
@dataclass(frozen=True)
class Transcript:
    """A string of symbols, not aligned with the inputs; a symbol's id is its place in ``symbols``.

    Attributes:
        symbols: Of the transcripts of the training split.
    """

    head: ClassVar[str] = "transcribe"
    symbols: tuple[str, ...]

    def truths(self, batch: Batch) -> list[str]:
        """Return the true transcript of each row."""
        assert batch.targets is not None
        rows = batch.targets.tolist()
        lengths = [len(row) for row in rows] if batch.target_lengths is None else batch.target_lengths.tolist()
        return ["".join(self.symbols[symbol] for symbol in row[:end]) for row, end in zip(rows, lengths, strict=True)]

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.transcribe.metrics import TranscribeMetrics  # torchmetrics is slow to import

        return TranscribeMetrics(self.truths)

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.transcribe.baselines import empty_transcript

        return {"empty transcript": empty_transcript}

    def figures(self, results: Results) -> dict[str, Any]:
        """Return spectrograms of the examples, if the inputs are sound."""
        from seqkit.tasks.transcribe.figures import spectrograms

        rate = getattr(results.spec.inputs, "sample_rate", None)
        if rate is None:
            return {}
        return {"spectrogram": spectrograms(results.batch, self.truths(results.batch), results.prediction.texts, rate)}

    def sample(self, results: Results) -> str:
        pairs = zip(self.truths(results.batch), results.prediction.texts, strict=True)
        return "\n".join(f"said  {text}\nheard {guess}" for text, guess in pairs)

    def answers(self, prediction: TranscriptPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return the text of each row."""
        return [{"text": text} for text in prediction.texts]

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row with the text."""
        return [answer]

    def text(self, answer: dict[str, Any]) -> str:
        return answer["text"]
