"""What a trained model is used for: streamed and exported, it computes the same."""

# T time

import warnings

import torch

from seqkit import registry
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, one_line
from seqkit.inputs.frames.spec import Frames
from seqkit.network import Network
from seqkit.tasks.forecast.spec import Series
from seqkit.testing.check import DoesNotApply, check, ensure
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.models.subject import ModelSubject


@check("model")
@torch.no_grad()
def streaming_equals_the_whole(subject: ModelSubject) -> None:
    """In a network, fed in chunks, it answers as it does for everything at once."""
    from seqkit.inference.stream import Stream

    network, spec = _network(subject)
    rows_TI = subject.x(1)[0]
    try:
        stream = Stream(network, spec)
    except ConfigError as refusal:
        if network.model.causal and network(Batch(rows_TI[None]))[2]:
            raise  # all else of this network can be streamed
        raise DoesNotApply(one_line(refusal)) from None
    for start, end in ((0, 1), (1, 4), (4, len(rows_TI))):
        stream.feed(rows_TI[start:end].numpy())
        assert stream.outputs is not None
        by = difference(stream.outputs, network(Batch(rows_TI[None, :end]))[0])
        ensure(
            by < TOLERANCE,
            f"streamed in chunks it answers, after step {end}, {by:.2g} away from what it answers for the whole",
        )


@check("model")
def export_equals_it(subject: ModelSubject) -> None:
    """Written as one file by torch.export it computes the same, or the export says why it cannot be."""
    from seqkit.export.exporting import InexactExportError, write

    network, spec = _network(subject)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(network.requires_grad_(False), spec, "torch")
    except InexactExportError:
        raise
    except ConfigError as refusal:
        raise DoesNotApply(one_line(refusal)) from None


def _network(subject: ModelSubject) -> tuple[Network, DataSpec]:
    """Return a network in evaluation mode that forecasts from frames by the model, and its spec."""
    names = tuple(f"x{number}" for number in range(subject.x().shape[2]))
    ones, zeros = (1.0,) * len(names), (0.0,) * len(names)
    spec = DataSpec(Frames(names, zeros, ones), Series(1, names[:1], zeros[:1], ones[:1]))
    model = subject.module()
    head = registry.build("head", "forecast", model.output_size, spec, model.causal)
    return Network(registry.build("frontend", "frames", spec), model, head).eval(), spec
