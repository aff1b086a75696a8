"""A head that is built anew: for another task, and from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, one_line
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, seeded
from seqkit.testing.compare import difference
from seqkit.testing.predicting import PredictionSubject


@check("head")
def another_task_is_refused_in_one_line(subject: PredictionSubject) -> None:
    """A user who pairs it with other data must read which head serves them, not a traceback."""
    other = DataSpec(subject.spec.inputs, _OtherTask())
    config = {"name": "gru", "hidden_size": 6}
    model = registry.build("model", config, 3)
    try:
        registry.build("head", _config(subject), model.output_size, other, model.causal)
    except ConfigError:
        return
    except Exception as error:
        text = f"{type(error).__name__}: {one_line(error)}"
        reason = f"for data of another task it fails with {text}"
    else:
        reason = "it takes data of a task that it has never seen"
    raise CheckError(
        f"{reason}; where spec.task is not of its class, raise seqkit.ConfigError that names spec.task.head"
    )


@check("head")
def state_dict_restores_the_prediction(subject: PredictionSubject) -> None:
    """A checkpoint is a state dict; what is not in it is lost."""
    head, given = subject.network.head, subject.whole
    with seeded(1):
        again = subject.get_network(subject.data).head
    again.load_state_dict(head.state_dict())
    with torch.no_grad():
        due, found = (one(given.y, given.lengths, given.batch) for one in (head, again))
    seen = difference(found, due)
    ensure(
        seen == 0,
        f"a new head with the same state dict differs by {seen:.2g}: make each tensor of it a parameter or a buffer",
    )


@dataclass(frozen=True)
class _OtherTask:
    """A task that no head serves."""

    head: ClassVar[str] = "another"


def _config(subject: PredictionSubject) -> Mapping[str, Any]:
    if subject.config is None:
        raise DoesNotApply("the head was not built by name, so no second one can be")
    return subject.config
