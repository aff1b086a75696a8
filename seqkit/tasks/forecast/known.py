"""Columns that are known ahead, in the steps of a forecast."""

# B batch, H size of the summary, F steps of the forecast (horizon), K columns known ahead, N numbers per step

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames

KNOWN = "known"
"""Name among the extras of a batch: the columns (B, F, K) over the horizon, in the units of the data."""


class KnownAhead(nn.Module):
    """What the columns that are known ahead add to each step, given what the model has read.

    One hidden layer, shared by all steps, as the temporal decoder of TiDE (Das et al. 2023, "Long-term forecasting
    with TiDE").

    Args:
        frames: Of which some columns are known ahead.
        summary_size: H.
        numbers: N.
        hidden_size: Of the layer between.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, frames: Frames, summary_size: int, numbers: int, hidden_size: int = 64) -> None:
        super().__init__()
        columns = frames.columns("known", "calendar")
        self.names = [frames.names[column] for column in columns]
        self.meaning = f"columns known ahead, of the rows to be forecast, as in inputs: {', '.join(self.names)}"
        self.register_buffer("mean", torch.tensor([frames.mean[column] for column in columns]), persistent=False)
        self.register_buffer("scale", torch.tensor([frames.scale[column] for column in columns]), persistent=False)
        self.from_summary = nn.Linear(summary_size, hidden_size)
        self.from_known = nn.Linear(len(columns), hidden_size, bias=False)
        self.output = nn.Linear(hidden_size, numbers)

    def forward(self, summary_BH: Tensor, batch: Batch) -> Tensor:
        """Return what is added to each step (B, F, N).

        Raises:
            ConfigError: The batch has no values of the columns over the horizon.
        """
        known_BFK = batch.extras.get(KNOWN)
        if known_BFK is None:
            raise ConfigError(
                f"the model reads columns that are known ahead ({', '.join(self.names)}), and here are no values of "
                "them for the rows to come; use `seqkit forecast`"
            )
        known_BFD = self.from_known((known_BFK - self.mean) / self.scale)
        return self.output(F.gelu(self.from_summary(summary_BH)[:, None] + known_BFD))
