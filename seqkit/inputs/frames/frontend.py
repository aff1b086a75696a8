"""Frames of numbers, scaled to mean 0 and deviation 1 by the training part's."""

# B batch, T time, I numbers per frame, P steps of a patch, N patches

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.inputs.frames.spec import Frames
from seqkit.padding import last_valid, valid
from seqkit.registry import register_frontend


@register_frontend("frames")
class FramesFrontend(nn.Module):
    """Scales frames by the training part's mean and deviation; can centre, patch and project them.

    Patching shortens the sequence: a window of 336 steps by 24 is 14 steps of 24 frames each. Windows are
    cut from their end; one that does not divide evenly is filled up at its start by repeating its first frame.

    Args:
        center: Value subtracted from the scaled frames of each sequence: none, or its last frame, so that the model
            sees changes only (NLinear of Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?").
        channels: What one sequence of the model is: all channels together, or each apart, the model's weights shared
            (a row of the batch becomes I rows).
        patch: Consecutive steps joined to one.
        project: Size of a learned linear map of each patch; none if left out.

    Raises:
        ConfigError: The inputs are not frames.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        center: Literal["none", "last"] = "none",
        channels: Literal["together", "apart"] = "together",
        patch: PositiveInt = 1,
        project: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(spec.inputs, Frames):
            raise wrong_inputs("frames", "frames", spec)
        self.center = center
        self.channels = channels
        self.patch = patch
        # Not in the state dict: the spec is saved beside it and says the same.
        self.register_buffer("mean", torch.tensor(spec.inputs.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(spec.inputs.scale), persistent=False)
        self.column_names = spec.inputs.names if channels == "together" else ()
        self.rows_per_sequence = len(spec.inputs.names) if channels == "apart" else 1
        folded = patch * (1 if channels == "apart" else len(spec.inputs.names))
        self.project = nn.Linear(folded, project) if project else nn.Identity()
        self.output_size = project or folded

    def steps(self, lengths_B: Tensor) -> Tensor:
        """Return the steps that sequences of these lengths give, (B,)."""
        return -(-lengths_B // self.patch)

    @property
    def looks_ahead(self) -> str | None:
        """Return why a frame cannot be read before the last one of its sequence is there, None if it can."""
        if self.center == "last":
            return "frontend.center=last needs the last frame of the whole sequence; train with frontend.center=none"
        if self.patch > 1:
            return f"frontend.patch={self.patch} folds from the end of the whole sequence; train with frontend.patch=1"
        return None

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Map frames (B, T, I), in the units of the data, to x (B, N, output_size) and lengths (B,) to its lengths.

        With the channels apart the first axis of both is B * I, the channels of a row side by side.
        """
        x_BTI = (inputs - self.mean) / self.scale
        if self.center == "last":
            x_BTI = x_BTI - last_valid(x_BTI, lengths)[:, None]
        if self.channels == "apart":
            rows, steps, channels = x_BTI.shape
            x_BTI = x_BTI.transpose(1, 2).reshape(rows * channels, steps, 1)
            lengths = None if lengths is None else lengths.repeat_interleave(channels)
        if self.patch > 1:
            x_BTI, lengths = patches(x_BTI, lengths, self.patch)
        return self.project(x_BTI), lengths


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
