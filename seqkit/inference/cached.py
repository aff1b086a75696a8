"""Scores of a language model with a neural cache, beside those of the model itself."""

from seqkit.contracts.batch import Split
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.evaluation import Scores, evaluate
from seqkit.network import Network
from seqkit.ranks import group


def cached_scores(network: Network, spec: DataSpec, data: Data, split: Split, batch_size: int, size: int) -> Scores:
    """Return the scores of a network whose head is mixed with a cache, with the theta and weight of the mixture.

    Both are chosen on the validation part.

    Args:
        network: Trained to predict the next token.
        spec: Of the data.
        data: Set up.
        split: To score.
        batch_size: Streams side by side; does not change the scores.
        size: Steps that the cache remembers.

    Raises:
        ConfigError: The network predicts something else, or the cache has no size.
    """
    refuse_cache(spec, size, split)
    cached = spec.task.cached(network.head, size)
    beside = Network(network.frontend, network.model, cached)
    evaluate(beside, spec, data, "valid", batch_size, baselines=False)
    cached.choose(sum(group().gather(cached.nats)))
    theta, weight = cached.chosen
    scores = evaluate(beside, spec, data, split, batch_size, baselines=False).model
    return scores | {"cache_theta": theta, "cache_weight": weight}


def refuse_cache(spec: DataSpec, size: int, split: Split) -> None:
    """Refuse a cache for a task that has none, without a size, or where it is chosen; raises ``ConfigError``."""
    if not hasattr(spec.task, "cached"):
        raise ConfigError(f"a cache is for a model with head=next_token; this one predicts {type(spec.task).__name__}")
    if size < 1:
        raise ConfigError(f"cache={size}: give 1 token or more to remember")
    if split == "valid":
        raise ConfigError("a cache is chosen on the validation part, so a score there would flatter it; use split test")
