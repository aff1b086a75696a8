"""The Python API of training, for notebooks and scripts."""

from collections.abc import Sequence
from typing import Any


def train(overrides: Sequence[str] = (), fresh: bool = False) -> dict[str, Any]:
    """Train one run and return its report, as ``seqkit train`` does.

    Args:
        overrides: As on the command line: ``["experiment=adding", "model.hidden_size=64"]``.
        fresh: Start over where the run's id exists already.

    Returns:
        What ``report.json`` holds: the run's folder, scores, baselines, hashes, versions.

    Raises:
        SeqkitError: Something in the overrides or the data cannot work.
    """
    from seqkit.compose import compose
    from seqkit.training.run import train as train_config

    return train_config(compose(overrides), fresh)
