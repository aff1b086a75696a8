"""The naive scores that stand beside every score of a model."""

from typing import Any

from seqkit.contracts import Classes, Data, DataSpec, Head, NextToken, Series, Split, Transcript
from seqkit.inference.evaluate import rounded


def naive(spec: DataSpec, data: Data, split: Split, head: Head) -> dict[str, dict[str, float]]:
    """Return the scores of each naive prediction for data of this kind, by its name and the head's score names.

    Args:
        spec: Of the data.
        data: Set up.
        split: Part that is scored; anything fitted (n-grams, class counts) comes from the training part.
        head: Whose scores are used.
    """
    from seqkit.report.baselines import forecast, labels, ngram

    chosen: dict[type, Any] = {Series: forecast, NextToken: ngram, Classes: labels, Transcript: labels}
    found = chosen[type(spec.targets)].naive(spec, data, split, head)
    return {name: {score: rounded(value) for score, value in scores.items()} for name, scores in found.items()}
