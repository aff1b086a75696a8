"""Interruptions at chosen moments of a training, by which ``seqkit verify-resume`` and tests try its exact resume.

The environment variable SEQKIT_INTERRUPT asks for them; where it is not set, nothing here does anything::

    SEQKIT_INTERRUPT="SIGKILL@step=7"                          after optimizer step 7, before anything of it is saved
    SEQKIT_INTERRUPT="SIGTERM@writing=last.ckpt,nth=3,rank=0"  at half of the bytes of the third last.ckpt, rank 0 only
    SEQKIT_INTERRUPT="SIGUSR1@validation=last;slow=0.05,rank=1"

Each interruption is SIGNAL@MOMENT or SIGNAL@MOMENT=VALUE: a process that reaches the moment sends itself the signal.
``nth=N`` waits for the N-th time in this process (default 1), ``rank=R`` leaves all ranks but R alone. ``slow=SECONDS``
delays every training batch. Several are separated by ``;``.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from seqkit.errors import ConfigError, unknown

VARIABLE = "SEQKIT_INTERRUPT"

MOMENTS = {
    "data": "before the data are read or made",
    "before": "before optimizer step K, with its gradients: before=K",
    "step": "after optimizer step K, before it is saved: step=K",
    "batch": "after the K-th batch of the training, which differs from a step with accumulation: batch=K",
    "epoch": "after the last batch of epoch N, counted from 1: epoch=N",
    "validation": "after the first batch of the validation at step K, or of the last: validation=K, validation=last",
    "report": "after the training, before the report",
    "writing": "half of the bytes of a checkpoint are written: writing=last.ckpt",
    "renaming": "a file is written under its temporary name and not yet renamed: renaming=last.ckpt",
    "renamed": "a file has just got its name: renamed=best.ckpt is between best.ckpt and last.ckpt",
}
"""When a process can be interrupted."""

SLOW = "slow"


@dataclass
class Interruption:
    """A signal that a process sends itself, or a delay of each of its batches.

    Args:
        text: As it is written in the variable.
        moment: One of ``MOMENTS``, or ``SLOW``.
        value: Which of these moments; "" for any.
        signal: To send; None for a delay.
        nth: Time of reaching it at which the signal is sent.
        rank: The only one that is interrupted; None for all.
    """

    text: str
    moment: str
    value: str
    signal: signal.Signals | None
    nth: int = 1
    rank: int | None = None
    seen: int = 0

    def reached(self, moment: str, values: Sequence[str]) -> None:
        """Send the signal if this is the moment."""
        if moment != self.moment or self.signal is None or (self.value and self.value not in values):
            return
        self.seen += 1
        if self.seen == self.nth:
            os.write(2, f"{said(self.text)}\n".encode())
            os.kill(os.getpid(), self.signal)


def reached(moment: str, *values: object) -> None:
    """Interrupt this process if that was asked for.

    Args:
        moment: That it has reached, one of ``MOMENTS``.
        values: By which the moment can be told from others of its kind.

    Raises:
        ConfigError: What is asked for cannot be read.
    """
    for interruption in _here():
        interruption.reached(moment, [str(value) for value in values])


def delay() -> None:
    """Wait as long as each batch is to be delayed; raises as ``reached``."""
    for interruption in _here():
        if interruption.moment == SLOW:
            time.sleep(float(interruption.value))


def said(text: str) -> str:
    """Return the line on standard error by which a process announces an interruption."""
    return f"{VARIABLE}: {text}"


def wanted() -> bool:
    """Whether any interruption is asked for."""
    return bool(os.environ.get(VARIABLE))


def _here() -> list[Interruption]:
    text = os.environ.get(VARIABLE)
    if not text:
        return []
    rank = int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)
    return [interruption for interruption in parse(text) if interruption.rank in (None, rank)]


@cache  # one list per process: it counts
def parse(text: str) -> list[Interruption]:
    """Read the value of SEQKIT_INTERRUPT.

    Raises:
        ConfigError: An unknown signal or moment, or a number that is none.
    """
    return [_parsed(part.strip()) for part in text.split(";") if part.strip()]


def _parsed(text: str) -> Interruption:
    first, *conditions = text.split(",")
    name, at, moment = first.rpartition("@")
    moment, _, value = moment.partition("=")
    more: dict[str, int] = {}
    try:
        if bool(at) == (moment == SLOW):
            raise ConfigError(f"{VARIABLE}: '{text}': write SIGNAL@MOMENT, SIGNAL@MOMENT=VALUE or {SLOW}=SECONDS")
        for condition in conditions:
            key, _, number = condition.partition("=")
            if key not in ("nth", "rank"):
                raise unknown(f"condition of {VARIABLE}", key, ("nth", "rank"))
            more[key] = int(number)
        if not at:
            return Interruption(text, SLOW, str(float(value)), None, **more)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{VARIABLE}: '{text}': {error}") from None
    if moment not in MOMENTS:
        raise unknown(f"moment of {VARIABLE}", moment, MOMENTS)
    names = [one.name for one in signal.Signals]
    if name not in names:
        raise unknown(f"signal of {VARIABLE}", name, names)
    return Interruption(text, moment, value, signal.Signals[name], **more)
