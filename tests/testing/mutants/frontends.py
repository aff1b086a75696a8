"""Broken frontends: a linear map of frames, with one thing wrong in each."""

# B batch, T time, I input

import torch
from torch import nn

import seqkit
from seqkit import DataSpec, Frames
from seqkit.contracts.spec import wrong_inputs
from seqkit.padding import valid
from tests.testing.mutants import mutant


class Right(nn.Module):
    """A learned map of each frame; what the mutants share is right."""

    looks_ahead = None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        if not isinstance(spec.inputs, Frames):
            raise wrong_inputs("right", "frames", spec)
        self.map = nn.Linear(len(spec.inputs.names), 4)
        self.output_size = 4

    def forward(self, inputs, lengths=None):
        return self.map(inputs), lengths


@mutant("frontend", "differences", "chunks_equal_the_whole", "give it stream", False)
@seqkit.register_frontend("differences")
class Differences(Right):
    """Changes from frame to frame, without a memory of the last one for streams."""

    def forward(self, inputs, lengths=None):
        return self.map(inputs.diff(dim=1, prepend=inputs[:, :1])), lengths


class Pairs(Right):
    """Every two frames as one step; right but for what its subclasses change."""

    def forward(self, inputs, lengths=None):
        steps = inputs.shape[1] // 2
        whole = (inputs[:, : 2 * steps : 2] + inputs[:, 1 : 2 * steps : 2]) / 2
        return self.map(whole), None if lengths is None else lengths // 2

    def steps(self, lengths_B):
        return lengths_B // 2

    def stream(self, inputs, memory, end):
        inputs = inputs if memory is None else torch.cat((memory, inputs), 1)
        return self(inputs)[0], inputs[:, inputs.shape[1] // 2 * 2 :]


@mutant("frontend", "forgetful_stream", "chunks_equal_the_whole", "keep in the memory of stream()", False)
@seqkit.register_frontend("forgetful_stream")
class ForgetfulStream(Pairs):
    """A stream that drops the odd frame at the end of a chunk."""

    def stream(self, inputs, memory, end):
        return self(inputs)[0], None


@mutant("frontend", "unchanged_lengths", "returns_steps_and_their_lengths", "valid to their end", True)
@seqkit.register_frontend("unchanged_lengths")
class UnchangedLengths(Pairs):
    """Half the steps, and the lengths as they came."""

    def forward(self, inputs, lengths=None):
        return super().forward(inputs)[0], lengths


@mutant("frontend", "rounded_up", "steps_are_counted_right", "which give", False)
@seqkit.register_frontend("rounded_up")
class RoundedUp(Pairs):
    """Counts the last odd frame as a step."""

    def steps(self, lengths_B):
        return (lengths_B + 2) // 2


@mutant("frontend", "lost_lengths", "padding_never_changes_a_valid_step", "returns no lengths", True)
@seqkit.register_frontend("lost_lengths")
class LostLengths(Right):
    """Gives None for the lengths, so that padding is taken for valid."""

    def forward(self, inputs, lengths=None):
        return self.map(inputs), None


@mutant("frontend", "scaled_with_padding", "padding_never_changes_a_valid_step", "out of every mean", True)
@seqkit.register_frontend("scaled_with_padding")
class ScaledWithPadding(Right):
    """Scales by the mean of the whole row, padding too."""

    looks_ahead = "it needs the mean of the whole sequence"

    def forward(self, inputs, lengths=None):
        return self.map(inputs - inputs.mean(1, keepdim=True)), lengths


@mutant("frontend", "mean_by_product", "nan_in_the_padding_never_leaks", "masked_fill", False)
@seqkit.register_frontend("mean_by_product")
class MeanByProduct(Right):
    """The mean of the valid frames, by a product with a mask."""

    looks_ahead = "it needs the mean of the whole sequence"

    def forward(self, inputs, lengths=None):
        mask = valid(lengths, inputs)[..., None]
        return self.map(inputs - (inputs * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)), lengths


@mutant("frontend", "wrong_output_size", "returns_steps_and_their_lengths", "output_size", True)
@seqkit.register_frontend("wrong_output_size")
class WrongOutputSize(Right):
    """Says that it has one feature more."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.output_size = 5


@mutant("frontend", "rows_unsaid", "returns_steps_and_their_lengths", "rows_per_sequence", True)
@seqkit.register_frontend("rows_unsaid")
class RowsUnsaid(Right):
    """Makes a row of each channel, and does not say so."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.output_size = 1
        self.map = nn.Linear(1, 1)

    def forward(self, inputs, lengths=None):
        channels = inputs.shape[2]
        apart = inputs.transpose(1, 2).reshape(-1, inputs.shape[1], 1)
        return self.map(apart), None if lengths is None else lengths.repeat_interleave(channels)


@mutant("frontend", "rows_interleaved", "rows_do_not_mix", "those that it gives alone", True)
@seqkit.register_frontend("rows_interleaved")
class RowsInterleaved(RowsUnsaid):
    """The rows of a sequence apart from each other."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.rows_per_sequence = len(spec.inputs.names)

    def forward(self, inputs, lengths=None):
        apart = inputs.permute(2, 0, 1).reshape(-1, inputs.shape[1], 1)
        return self.map(apart), None if lengths is None else lengths.repeat(inputs.shape[2])


@mutant("frontend", "scaled_by_batch", "rows_do_not_mix", "over the batch axis", True)
@seqkit.register_frontend("scaled_by_batch")
class ScaledByBatch(Right):
    """Scales by the mean over the batch."""

    def forward(self, inputs, lengths=None):
        return self.map(inputs - inputs.nan_to_num().mean(0)), lengths


@mutant("frontend", "always_masked", "evaluation_gives_the_same_again", "if self.training", True)
@seqkit.register_frontend("always_masked")
class AlwaysMasked(Right):
    """Masks of an augmentation, in evaluation too."""

    def forward(self, inputs, lengths=None):
        return self.map(inputs * (torch.rand(inputs.shape[2]) > 0.5)), lengths


@mutant("frontend", "frozen", "gradient_reaches_every_parameter", "no gradient at all", True)
@seqkit.register_frontend("frozen")
class Frozen(Right):
    """Maps under no_grad."""

    @torch.no_grad()
    def forward(self, inputs, lengths=None):
        return super().forward(inputs, lengths)


@mutant("frontend", "scales_in_place", "input_is_not_changed_in_place", "x = x * a", True)
@seqkit.register_frontend("scales_in_place")
class ScalesInPlace(Right):
    """Scales the batch itself, which is seen again in the next epoch."""

    def forward(self, inputs, lengths=None):
        return self.map(inputs.div_(2)), lengths


@mutant("frontend", "running_mean", "evaluation_changes_no_buffer", "mean", True)
@seqkit.register_frontend("running_mean")
class RunningMean(Right):
    """A running mean that goes on in evaluation."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(len(spec.inputs.names)))

    def forward(self, inputs, lengths=None):
        self.mean = 0.9 * self.mean + 0.1 * inputs.detach().nan_to_num().mean((0, 1))
        return self.map(inputs - self.mean), lengths
