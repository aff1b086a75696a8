"""The moments at which a training is killed, in the words of ``seqkit.interrupting``."""

import random
from collections.abc import Sequence

from seqkit import interrupting
from seqkit.config import Config

REPORT = "renaming=report.json"


def intervals(steps: int) -> tuple[int, int]:
    """Return the steps between validations and between checkpoints that let every moment come in a short training."""
    return max(1, steps // 3), max(1, steps // 6)


def default_points(config: Config, ranks: int) -> list[str]:
    """Return one moment of each kind, and the signals that stop a training in good order.

    Of several ranks it is the last one that is interrupted where one alone can be, but for some moments all.

    Args:
        config: Of a training with the ``intervals`` of its steps.
        ranks: Number of processes that train together.
    """
    trainer = config["trainer"]
    steps, validation, accumulate = (
        trainer["max_steps"], trainer["val_check_interval"], trainer["accumulate_grad_batches"],
    )  # fmt: skip
    middle = steps // 2
    one = f",rank={ranks - 1}" if ranks > 1 else ""
    inside = [f"batch={middle * accumulate + 1}{one}"] if accumulate > 1 else []
    return [
        f"data{one}", f"before={middle}", f"step={middle + 1}{one}", *inside, f"epoch{one}",
        f"validation={validation}{one}", "writing=last.ckpt,nth=3", "renaming=last.ckpt,nth=3", "renamed=best.ckpt",
        f"validation=last{one}", "report", REPORT,
        f"SIGTERM@step={middle + 1}{one}", f"SIGUSR1@validation={validation}",
    ]  # fmt: skip


def random_points(config: Config, ranks: int, count: int) -> list[str]:
    """Return moments drawn at random, from the run's seed, over the whole training; each on a random rank or on all."""
    draw = random.Random(config["seed"])
    trainer = config["trainer"]
    steps, accumulate = trainer["max_steps"], trainer["accumulate_grad_batches"]
    moments = [f"before={step}" for step in range(1, steps + 1)]
    moments += [f"step={step}" for step in range(1, steps + 1)]
    moments += [f"batch={batch}" for batch in range(1, steps * accumulate + 1) if batch % accumulate]
    moments += [f"validation={step}" for step in range(1, steps + 1) if step % trainer["val_check_interval"] == 0]
    saves = steps // trainer["checkpoint_every_n_steps"]
    moments += [f"{how}=last.ckpt,nth={save}" for save in range(1, saves + 1) for how in ("writing", "renaming")]
    points = draw.sample(moments, min(count, len(moments)))
    return [point if "ckpt" in point else f"{point}{_some_rank(draw, ranks)}" for point in points]


def with_signals(points: Sequence[str], signals: Sequence[str]) -> list[str]:
    """Return interruptions: a moment that has no signal of its own comes once with each of ``signals``.

    Raises:
        ConfigError: One of them cannot be read.
    """
    full = []
    for point in points:
        full += [point] if "@" in point else [f"{name}@{point}" for name in signals]
    for text in full:
        interrupting.parse(text)
    return list(dict.fromkeys(full))


def _some_rank(draw: random.Random, ranks: int) -> str:
    rank = draw.randrange(-1, ranks)
    return f",rank={rank}" if ranks > 1 and rank >= 0 else ""
