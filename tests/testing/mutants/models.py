"""Broken models: a GRU of torch as a whole model, with one thing wrong in each."""

# B batch, T time, I input, H hidden

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import seqkit
from seqkit.padding import after_last, valid
from tests.testing.mutants import STREAMS, mutant

TEXT_STREAMS = ("data=text_files", *STREAMS)  # a state is carried on these only


class Right(nn.Module):
    """One layer of torch's GRU; what the mutants share is right."""

    causal = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = 4
        self.gru = nn.GRU(input_size, 4, batch_first=True)

    def forward(self, x_BTI, lengths_B=None, state=None):
        start = state[0] if state else x_BTI.new_zeros(1, len(x_BTI), 4)
        x_BTI = x_BTI.masked_fill(~valid(lengths_B, x_BTI)[..., None], 0)
        h_BTH = self.hidden(x_BTI, lengths_B, start)
        return self.output(h_BTH, x_BTI), (after_last(h_BTH.transpose(0, 1), lengths_B, start[0])[None],)

    def hidden(self, x_BTI, lengths_B, start):
        return self.gru(x_BTI, start)[0]

    def output(self, h_BTH, x_BTI):
        return h_BTH


@mutant("model", "centred_over_time", "nothing_looks_ahead", "says that it is causal", True)
@seqkit.register_model("centred_over_time")
class CentredOverTime(Right):
    """Subtracts the mean over time, and says that it is causal."""

    def hidden(self, x_BTI, lengths_B, start):
        return super().hidden(x_BTI - x_BTI.mean(1, keepdim=True), lengths_B, start)


@mutant("model", "same_convolution", "nothing_looks_ahead", "pad convolutions on the left", True)
@seqkit.register_model("same_convolution")
class SameConvolution(Right):
    """A convolution padded on both sides."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.conv = nn.Conv1d(input_size, input_size, 3, padding=1)

    def hidden(self, x_BTI, lengths_B, start):
        return super().hidden(self.conv(x_BTI.transpose(1, 2)).transpose(1, 2), lengths_B, start)


@mutant("model", "unmasked_attention", "no_gradient_comes_from_later_steps", "say causal = False", True)
@seqkit.register_model("unmasked_attention")
class UnmaskedAttention(Right):
    """Attention without a mask after it."""

    def output(self, h_BTH, x_BTI):
        return h_BTH + F.scaled_dot_product_attention(h_BTH, h_BTH, h_BTH)


@mutant("model", "mean_with_padding", "padding_never_changes_a_valid_output", "out of every mean", True)
@seqkit.register_model("mean_with_padding")
class MeanWithPadding(Right):
    """A mean over time that counts the padded steps."""

    causal = False

    def hidden(self, x_BTI, lengths_B, start):
        return super().hidden(x_BTI - x_BTI.mean(1, keepdim=True), lengths_B, start)


@mutant("model", "flipped_with_padding", "padding_never_changes_a_valid_output", "reversal", True)
@seqkit.register_model("flipped_with_padding")
class FlippedWithPadding(Right):
    """A backward direction that begins in the padding."""

    causal = False

    def output(self, h_BTH, x_BTI):
        return h_BTH + self.gru(x_BTI.flip(1) + 1)[0].flip(1)


@mutant("model", "sorted_rows", "padding_never_changes_a_valid_output", "those that it gets alone", True)
@seqkit.register_model("sorted_rows")
class SortedRows(Right):
    """Rows sorted by length for a packed sequence, and not put back."""

    def hidden(self, x_BTI, lengths_B, start):
        if lengths_B is not None:
            x_BTI = x_BTI[lengths_B.argsort()]
        return super().hidden(x_BTI, lengths_B, start)


@mutant("model", "last_padded_state", "state_is_that_after_the_last_valid_step", "lengths - 1", True, TEXT_STREAMS)
@seqkit.register_model("last_padded_state")
class LastPaddedState(Right):
    """Returns the state after the last step, valid or not."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, _ = super().forward(x_BTI, lengths_B, state)
        return y_BTH, (y_BTH[None, :, -1],)


@mutant("model", "masked_by_product", "nan_in_the_padding_never_leaks", "masked_fill", False)
@seqkit.register_model("masked_by_product")
class MaskedByProduct(Right):
    """Multiplies the padding by 0, which NaN survives."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, _ = self.gru(x_BTI * valid(lengths_B, x_BTI)[..., None], state[0] if state else None)
        return y_BTH, super().forward(x_BTI, lengths_B, state)[1]


@mutant("model", "ignored_state", "chunks_equal_the_whole", "start from the state that is given", True, TEXT_STREAMS)
@seqkit.register_model("ignored_state")
class IgnoredState(Right):
    """Starts every chunk from zero."""

    def hidden(self, x_BTI, lengths_B, start):
        return self.gru(x_BTI)[0]


@mutant("model", "undeclared_start", "a_reset_row_starts_like_a_new_sequence", "initial_state", True, TEXT_STREAMS)
@seqkit.register_model("undeclared_start")
class UndeclaredStart(Right):
    """A learned initial state, but no initial_state() that says so."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.start = nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x_BTI, lengths_B=None, state=None):
        return super().forward(x_BTI, lengths_B, state or (self.start.expand(1, len(x_BTI), 4).contiguous(),))


@mutant("model", "other_start", "initial_state_is_where_it_starts", "from initial_state()", True, TEXT_STREAMS)
@seqkit.register_model("other_start")
class OtherStart(UndeclaredStart):
    """The same, with an initial_state() that says zeros."""

    def initial_state(self, batch_size):
        return (torch.zeros(1, batch_size, 4),)


@mutant("model", "wrong_size", "returns_an_output_per_step_and_a_state", "output_size", True)
@seqkit.register_model("wrong_size")
class WrongSize(Right):
    """Says that it has twice the features it has."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.output_size = 8


@mutant("model", "silent_about_time", "says_its_output_size_and_whether_it_is_causal", "causal", True)
@seqkit.register_model("silent_about_time")
class SilentAboutTime(Right):
    """Does not say whether it is causal."""

    causal = None


@mutant("model", "batch_first_state", "returns_an_output_per_step_and_a_state", "second axis", True)
@seqkit.register_model("batch_first_state")
class BatchFirstState(Right):
    """A state with the batch as its first axis."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, (after,) = super().forward(x_BTI, lengths_B, state and (state[0].transpose(0, 1).contiguous(),))
        return y_BTH, (after.transpose(0, 1),)


@mutant("model", "squeezed_step", "takes_one_step_of_one_row", "squeeze", True, TEXT_STREAMS)
@seqkit.register_model("squeezed_step")
class SqueezedStep(Right):
    """A squeeze() that takes time away when it is 1."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, after = super().forward(x_BTI, lengths_B, state)
        return y_BTH.squeeze(1), after


@mutant("model", "packed", "takes_rows_without_a_valid_step", "Length of all samples", False)
@seqkit.register_model("packed")
class Packed(Right):
    """A packed sequence, which refuses a row of length 0."""

    def hidden(self, x_BTI, lengths_B, start):
        if lengths_B is None:
            return super().hidden(x_BTI, lengths_B, start)
        packed = nn.utils.rnn.pack_padded_sequence(x_BTI, lengths_B, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.gru(packed, start)[0], True, total_length=x_BTI.shape[1])[0]


@mutant("model", "batch_statistics", "rows_do_not_mix", "over the batch axis", True)
@seqkit.register_model("batch_statistics")
class BatchStatistics(Right):
    """Batch normalisation without running statistics, so by the batch in evaluation too."""

    causal = False

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.norm = nn.BatchNorm1d(input_size, track_running_stats=False)

    def hidden(self, x_BTI, lengths_B, start):
        return super().hidden(self.norm(x_BTI.transpose(1, 2)).transpose(1, 2), lengths_B, start)


@mutant("model", "numbered_rows", "order_of_rows_does_not_matter", "in another order of the rows", True)
@seqkit.register_model("numbered_rows")
class NumberedRows(Right):
    """Positions added along the batch, not along time."""

    def output(self, h_BTH, x_BTI):
        return h_BTH + 0.1 * torch.arange(len(h_BTH))[:, None, None]


@mutant("model", "decays_its_state", "state_is_not_changed_in_place", "in place", True, TEXT_STREAMS)
@seqkit.register_model("decays_its_state")
class DecaysItsState(Right):
    """A decay that is written to the state it was given."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        return super().forward(x_BTI, lengths_B, state and (state[0].mul_(0.5),))


@mutant("model", "masks_its_input", "input_is_not_changed_in_place", "x = x * a", True)
@seqkit.register_model("masks_its_input")
class MasksItsInput(Right):
    """Scales the tensor that it was given."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        x_BTI *= 0.5
        return super().forward(x_BTI, lengths_B, state)


@mutant("model", "one_buffer", "results_are_not_overwritten", "by the next call", True)
@seqkit.register_model("one_buffer")
class OneBuffer(Right):
    """Returns its state in a buffer that the next call writes to."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, (after,) = super().forward(x_BTI, lengths_B, state)
        if getattr(self, "kept", after[:, :0]).shape != after.shape:
            self.kept = torch.empty_like(after)
        return y_BTH, (self.kept.copy_(after.detach()),)


@mutant("model", "no_gradient", "gradient_reaches_every_parameter", "no gradient at all", True)
@seqkit.register_model("no_gradient")
class NoGradient(Right):
    """Computes under no_grad, as an inference example does."""

    @torch.no_grad()
    def hidden(self, x_BTI, lengths_B, start):
        return super().hidden(x_BTI, lengths_B, start)


@mutant("model", "spare_layer", "gradient_reaches_every_parameter", "spare.weight", True)
@seqkit.register_model("spare_layer")
class SpareLayer(Right):
    """A layer that is made and not used."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.spare = nn.Linear(4, 4)


@mutant("model", "graph_on_self", "trains_step_after_step", "its second training step fails", True)
@seqkit.register_model("graph_on_self")
class GraphOnSelf(Right):
    """Carries its state on self, with the graph of the batch before."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        before = getattr(self, "before", None)
        same = before is not None and before.shape[1] == len(x_BTI)
        y_BTH, (self.before,) = super().forward(x_BTI, lengths_B, (before,) if same else None)
        return y_BTH, ()


@mutant("model", "state_on_self", "evaluation_gives_the_same_again", "keep nothing on self", True)
@seqkit.register_model("state_on_self")
class StateOnSelf(Right):
    """Carries its state on self, from one sequence to the next."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        before = getattr(self, "before", None)
        same = before is not None and before.shape[1] == len(x_BTI)
        y_BTH, (after,) = super().forward(x_BTI, lengths_B, (before,) if same else None)
        self.before = after.detach()
        return y_BTH, ()


@mutant("model", "own_generator", "seed_decides_training", "default_rng()", True)
@seqkit.register_model("own_generator")
class OwnGenerator(Right):
    """Noise in training from a generator that starts anew in every process."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.draw = np.random.default_rng()

    def output(self, h_BTH, x_BTI):
        return h_BTH * (0.9 + 0.2 * self.draw.random()) if self.training else h_BTH


@mutant("model", "weight_at_first_use", "state_dict_holds_all_of_it", "late.weight", False)
@seqkit.register_model("weight_at_first_use")
class WeightAtFirstUse(Right):
    """Makes a layer when it is first called: after the optimizer was given the parameters."""

    def output(self, h_BTH, x_BTI):
        if not hasattr(self, "late"):
            self.late = nn.Linear(4, 4).to(h_BTH)
        return self.late(h_BTH)


@mutant("model", "float32_state", "computes_in_float64", "after .double()", False)
@seqkit.register_model("float32_state")
class Float32State(Right):
    """Starts from zeros in float32, whatever it computes in."""

    def forward(self, x_BTI, lengths_B=None, state=None):
        return super().forward(x_BTI, lengths_B, state or (torch.zeros(1, len(x_BTI), 4),))


@mutant("model", "mixed_types", "computes_under_autocast", "dtype", False)
@seqkit.register_model("mixed_types")
class MixedTypes(Right):
    """An operation of two tensors that autocast leaves in different types."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size)
        self.out = nn.Linear(4, 4)

    def output(self, h_BTH, x_BTI):
        return torch.lerp(x_BTI[..., :1].expand_as(h_BTH), self.out(h_BTH), 0.5)


@mutant("model", "no_module", "can_be_built", "nn.Module", True)
@seqkit.register_model("no_module")
class NoModule:
    """A plain class with a layer inside, which is not trained."""

    causal = True

    def __init__(self, input_size: int) -> None:
        self.right = Right(input_size)
        self.output_size = 4

    def __call__(self, x_BTI, lengths_B=None, state=None):
        return self.right(x_BTI, lengths_B, state)


@mutant("model", "short_first_chunk", "streaming_equals_the_whole", "streamed in chunks", True, TEXT_STREAMS)
@seqkit.register_model("short_first_chunk")
class ShortFirstChunk(nn.Module):
    """A causal convolution that pads what it keeps of a short chunk on the wrong side."""

    causal = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = 4
        self.conv = nn.Conv1d(input_size, 4, 4)

    def forward(self, x_BTI, lengths_B=None, state=None):
        before = state[0][0] if state else x_BTI.new_zeros(len(x_BTI), 3, x_BTI.shape[2])
        known = torch.cat((before, x_BTI), 1)
        after = torch.stack(
            [row[: steps + 3][-3:] for row, steps in zip(known, self.steps(lengths_B, x_BTI), strict=True)]
        )
        if x_BTI.shape[1] < 3 and not state:
            after = F.pad(x_BTI, (0, 0, 0, 3 - x_BTI.shape[1]))
        return self.conv(known.transpose(1, 2)).transpose(1, 2), (after[None],)

    @staticmethod
    def steps(lengths_B, x_BTI):
        return [x_BTI.shape[1]] * len(x_BTI) if lengths_B is None else lengths_B.tolist()


@mutant("model", "cheaper_when_exported", "export_equals_it", "differs from the network", False)
@seqkit.register_model("cheaper_when_exported")
class CheaperWhenExported(nn.Module):
    """A branch for export that leaves out a layer which an exporter once could not follow."""

    causal = False

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = 4
        self.layer, self.norm = nn.Linear(input_size, 4), nn.LayerNorm(4)

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH = self.layer(x_BTI)
        return y_BTH if torch.compiler.is_exporting() else self.norm(y_BTH), ()
