"""Frames of numbers, scaled to mean 0 and deviation 1 by the training part's, their series' or the window's."""

# B batch, T time, I numbers per frame, P steps of a patch, N patches

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.errors import ConfigError
from seqkit.inputs.frames.scaling import transformed, window_mean_and_scale
from seqkit.inputs.frames.spec import Frames
from seqkit.padding import last_valid, valid
from seqkit.registry import register_frontend


@register_frontend("frames")
class FramesFrontend(nn.Module):
    """Scales frames by mean and deviation of the training part, or of each series or window, as the data says.

    Before that it transforms them as the data says; after it, it can centre, patch and project them.

    What is the same at every step stands once in a patch, its categories as learned vectors.

    Patching shortens the sequence: a window of 336 steps by 24 is 14 steps of 24 frames each. Windows are
    cut from their end; one that does not divide evenly is filled up at its start by repeating its first frame.

    Args:
        center: Value subtracted from the scaled columns of the past of each sequence: none, or their last one, so that
            the model sees changes only (NLinear of Zeng et al. 2022, "Are Transformers Effective for Time Series
            Forecasting?").
        channels: What one sequence of the model is: all channels together, or each apart, the model's weights shared
            (a row of the batch becomes I rows).
        patch: Consecutive steps joined to one.
        project: Size of a learned linear map of each patch; none if left out.
        category_size: Size of the learned vector of each level of a column of categories.

    Raises:
        ConfigError: The inputs are not frames, or hold columns that an option cannot take.
    """

    mean: Tensor
    scale: Tensor
    is_past: Tensor
    own_2I: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        center: Literal["none", "last"] = "none",
        channels: Literal["together", "apart"] = "together",
        patch: PositiveInt = 1,
        project: PositiveInt | None = None,
        category_size: PositiveInt = 8,
    ) -> None:
        super().__init__()
        frames = spec.inputs
        if not isinstance(frames, Frames):
            raise wrong_inputs("frames", "frames", spec)
        past = frames.columns("past")
        self.moving = frames.columns("past", "observed", "known", "calendar")
        self.constant = [column for column in frames.columns("static") if column not in frames.categories]
        self.categories = {column: len(levels) for column, levels in frames.categories.items()}
        if channels == "apart" and len(past) < len(frames.names):
            other = next(name for column, name in enumerate(frames.names) if column not in past)
            raise ConfigError(
                f"frontend.channels=apart reads each column by itself, and '{other}' is there for the others; use "
                "frontend.channels=together"
            )
        self.center = center
        self.channels = channels
        self.patch = patch
        self.window = frames.window
        self.transform = frames.transform
        # Not in the state dict: the spec is saved beside it and says the same.
        self.register_buffer("mean", torch.tensor(frames.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(frames.scale), persistent=False)
        is_past = torch.tensor([column in past for column in range(len(frames.names))])
        self.register_buffer("is_past", is_past, persistent=False)
        # Columns where mean and scale of each column of the past stand; of the others any.
        self.by_series = bool(frames.columns("mean"))
        own = torch.zeros(2, len(frames.names), dtype=torch.int64)
        if self.by_series:
            own[:, past] = torch.tensor([frames.columns("mean"), frames.columns("scale")])
        self.register_buffer("own_2I", own, persistent=False)
        self.vectors = nn.ModuleList(nn.Embedding(levels + 1, category_size) for levels in self.categories.values())
        self.column_names = frames.names if channels == "together" else ()
        self.rows_per_sequence = len(frames.names) if channels == "apart" else 1
        folded = patch * (1 if channels == "apart" else len(self.moving))
        folded += len(self.constant) + category_size * len(self.categories)
        self.project = nn.Linear(folded, project) if project else nn.Identity()
        self.output_size = project or folded

    def steps(self, lengths_B: Tensor) -> Tensor:
        """Return the steps that sequences of these lengths give, (B,)."""
        return -(-lengths_B // self.patch)

    @property
    def looks_ahead(self) -> str | None:
        """Return why a frame cannot be read before the last one of its sequence is there, None if it can."""
        if self.window:
            return "data.scaling=window scales by the whole sequence; train with data.scaling=standard"
        if self.transform == "difference":
            return "data.transform=difference needs the frame before each chunk; train with data.transform=none"
        if self.center == "last":
            return "frontend.center=last needs the last frame of the whole sequence; train with frontend.center=none"
        if self.patch > 1:
            return f"frontend.patch={self.patch} folds from the end of the whole sequence; train with frontend.patch=1"
        return None

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Map frames (B, T, I), in the units of the data, to x (B, N, output_size) and lengths (B,) to its lengths.

        With the channels apart the first axis of both is B * I, the channels of a row side by side.
        """
        x_BTI = self._scaled(inputs, lengths)
        fixed_B1S = self._fixed(inputs, x_BTI)
        if self.center == "last":
            last_BI = last_valid(x_BTI, lengths)
            x_BTI = x_BTI - torch.where(self.is_past, last_BI, 0.0)[:, None]
        if len(self.moving) < x_BTI.shape[2]:
            x_BTI = x_BTI[:, :, self.moving]
        if self.channels == "apart":
            rows, steps, channels = x_BTI.shape
            x_BTI = x_BTI.transpose(1, 2).reshape(rows * channels, steps, 1)
            lengths = None if lengths is None else lengths.repeat_interleave(channels)
        if self.patch > 1:
            x_BTI, lengths = patches(x_BTI, lengths, self.patch)
        if fixed_B1S is not None:
            x_BTI = torch.cat((x_BTI, fixed_B1S.expand(-1, x_BTI.shape[1], -1)), 2)
        return self.project(x_BTI), lengths

    def _scaled(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        if self.transform != "none":
            there_BT1 = valid(lengths, inputs)[:, :, None]  # padding has no logarithm
            past_BTI = torch.where(self.is_past & there_BT1, inputs, 1.0)
            inputs = torch.where(self.is_past, transformed(past_BTI, self.transform), inputs)
        if self.by_series:
            mean_BI, scale_BI = (inputs[:, 0, own_I] for own_I in self.own_2I)
        elif self.window:
            mean_BI, scale_BI = window_mean_and_scale(inputs, lengths, self.scale, self.transform)
        else:
            return (inputs - self.mean) / self.scale
        mean_BI = torch.where(self.is_past, mean_BI, self.mean)
        scale_BI = torch.where(self.is_past, scale_BI, self.scale)
        return (inputs - mean_BI[:, None]) / scale_BI[:, None]

    def _fixed(self, inputs: Tensor, x_BTI: Tensor) -> Tensor | None:
        """Return what is the same at every step, (B, 1, S); None where nothing is."""
        if not self.constant and not self.categories:
            return None
        parts = [x_BTI[:, :1, self.constant]]
        for (column, levels), vectors in zip(self.categories.items(), self.vectors, strict=True):
            level_B1 = inputs[:, :1, column].round().long()
            there_B1 = (level_B1 >= 0) & (level_B1 <= levels)
            parts.append(vectors(torch.where(there_B1, level_B1, 0)))
        return torch.cat(parts, 2)


def patches(x_BTI: Tensor, lengths_B: Tensor | None, size: int) -> tuple[Tensor, Tensor | None]:
    """Join ``size`` consecutive steps to one, such that the last patch of each row ends at its last valid step.

    Returns:
        The patches (B, N, size * I), zero where they are padding, and the valid steps of each row (B,).
    """
    rows, steps, _ = x_BTI.shape
    folded = -(-steps // size)
    if lengths_B is None:
        missing = folded * size - steps
        x_BTI = torch.cat((x_BTI[:, :1].expand(-1, missing, -1), x_BTI), 1) if missing else x_BTI
        return x_BTI.reshape(rows, folded, -1), None
    folded_B = -(-lengths_B // size)
    shift_B1 = (folded_B * size - lengths_B)[:, None]  # steps that are missing at the start of each row
    source_BT = torch.arange(folded * size, device=x_BTI.device) - shift_B1
    source_BT = torch.minimum(source_BT.clamp(min=0), lengths_B[:, None] - 1)
    x_BNI = x_BTI.gather(1, source_BT[:, :, None].expand(-1, -1, x_BTI.shape[2])).reshape(rows, folded, -1)
    return x_BNI * valid(folded_B, x_BNI)[:, :, None], folded_B
