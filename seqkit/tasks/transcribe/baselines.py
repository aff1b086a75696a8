"""Baseline of transcription: the empty transcript."""

from seqkit.contracts.batch import Batch
from seqkit.tasks.transcribe.prediction import TranscriptPrediction


def empty_transcript(batch: Batch) -> TranscriptPrediction:
    """Predict nothing; it has no loss, as a model sure of saying nothing would have an infinite one."""
    return TranscriptPrediction([""] * len(batch))
