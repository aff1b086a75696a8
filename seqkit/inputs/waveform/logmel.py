"""Sound as the logarithm of its energy in bands that are even on the mel scale, computed on the device."""

# B batch, S samples, W samples of a window, F frequencies, T frames (then steps), M mel bands, I features of a step

from typing import Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.errors import ConfigError
from seqkit.inputs.waveform.mel import filters_for_window
from seqkit.inputs.waveform.spec import Waveform
from seqkit.padding import valid
from seqkit.precision import full_precision
from seqkit.registry import register_frontend

FLOOR = 1e-8  # added to the power of a band: 80 dB below a full-scale square wave, so that silence has a logarithm


@register_frontend("logmel")
class LogMel(nn.Module):
    """Log-mel energies of a waveform, normalised, with consecutive frames stacked to fewer steps.

    Frame t sees the samples from t * hop to t * hop + window and no others, so that it depends neither on padding
    nor on the rest of the batch; samples after the last whole frame are left out. A waveform shorter than one window
    is filled up with silence to one frame. The last step is filled up with zeros to ``stack`` frames.

    Args:
        n_mels: Mel bands.
        window: Length of a frame, in seconds.
        hop: From one frame to the next, in seconds.
        fmin: Lower end of the lowest band, in Hz.
        fmax: Upper end of the highest band, in Hz; half the sample rate if not given.
        stack: Consecutive frames joined to one step.
        normalise: ``utterance`` gives each waveform mean 0 and deviation 1 over its frames and bands, ``band`` each
            band of each waveform, ``none`` leaves the natural logarithm of the power. All but ``none`` look ahead.
        time_masks: Stretches of time set to the mean in each training waveform (SpecAugment, Park et al. 2019).
        time_mask: Longest such stretch, in seconds.
        band_masks: Groups of neighbouring bands set to the mean in each training waveform.
        band_mask: Largest such group, in bands.

    Raises:
        ConfigError: The inputs are not waveforms, or the options do not fit their sample rate.
    """

    shape: Tensor  # (W,)
    filters: Tensor  # (F, M)

    def __init__(
        self,
        spec: DataSpec,
        *,
        n_mels: PositiveInt = 40,
        window: PositiveFloat = 0.025,
        hop: PositiveFloat = 0.010,
        fmin: NonNegativeFloat = 0.0,
        fmax: PositiveFloat | None = None,
        stack: PositiveInt = 1,
        normalise: Literal["utterance", "band", "none"] = "utterance",
        time_masks: NonNegativeInt = 0,
        time_mask: PositiveFloat = 0.1,
        band_masks: NonNegativeInt = 0,
        band_mask: PositiveInt = 8,
    ) -> None:
        super().__init__()
        if not isinstance(spec.inputs, Waveform):
            raise wrong_inputs("logmel", "waveforms", spec)
        rate = spec.inputs.sample_rate
        highest = rate / 2 if fmax is None else fmax
        if highest > rate / 2:
            raise ConfigError(f"frontend.fmax={highest:g}: at most {rate / 2:g} Hz, half the data's sample rate")
        if fmin >= highest:
            raise ConfigError(f"frontend.fmin={fmin:g}: must be below the upper end of the bands, {highest:g} Hz")
        self.window = max(1, round(window * rate))
        self.hop = max(1, round(hop * rate))
        if self.hop > self.window:
            raise ConfigError(f"frontend.hop={hop:g}: longer than frontend.window={window:g}, sound would be skipped")
        self.stack = stack
        self.normalise = normalise
        self.time_masks, self.time_mask = time_masks, max(1, round(time_mask / hop))
        self.band_masks, self.band_mask = band_masks, min(band_mask, n_mels)
        self.output_size = n_mels * stack
        window_W = torch.hann_window(self.window, device="cpu")  # values are needed here, also where none are made
        # White noise of variance v then has power v at every frequency, whatever the window's length.
        self.register_buffer("shape", window_W / window_W.square().sum().sqrt(), persistent=False)
        filters_FM = filters_for_window(n_mels, self.window, rate, fmin, highest)
        self.register_buffer("filters", filters_FM, persistent=False)
        self.fft = 2 * (len(filters_FM) - 1)

    def forward(self, waveform_BS: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map waveform_BS, with its valid samples, to x_BTI and the valid steps of each row."""
        x_BTM, lengths_B = self.frames(waveform_BS, lengths_B)
        if self.training and (self.time_masks or self.band_masks):
            x_BTM = self._mask(x_BTM, lengths_B)
        return self._stacked(x_BTM), None if lengths_B is None else -(-lengths_B // self.stack)

    @property
    def looks_ahead(self) -> str | None:
        """Return why a frame cannot be computed before the whole waveform is there, None if it can."""
        if self.normalise == "none":
            return None
        return f"frontend.normalise={self.normalise} needs the whole waveform; train with frontend.normalise=none"

    def stream(
        self, waveform_BS: Tensor, memory: tuple[Tensor, Tensor | None] | None, end: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
        """Map a chunk of a waveform to x_BTI, the steps that it completes.

        Args:
            waveform_BS: What follows the chunks before; may be empty.
            memory: What was returned with the last chunk, None for the first: the samples from the start of the next
                frame on, and the frames of the step that is not complete, None before the first frame.
            end: Whether nothing follows, so that what ``forward`` fills up at the end is filled up now.
        """
        tail_BS, frames_BTM = memory or (waveform_BS[:, :0], None)
        tail_BS = torch.cat((tail_BS, waveform_BS), 1)
        fill_up = end and frames_BTM is None and tail_BS.shape[1] > 0
        if tail_BS.shape[1] >= self.window or fill_up:
            new_BTM, _ = self.frames(tail_BS, None)
            frames_BTM = new_BTM if frames_BTM is None else torch.cat((frames_BTM, new_BTM), 1)
            tail_BS = tail_BS[:, new_BTM.shape[1] * self.hop :].clone()
        if frames_BTM is None:
            return tail_BS.new_zeros(len(tail_BS), 0, self.output_size), (tail_BS, None)
        kept = 0 if end else frames_BTM.shape[1] % self.stack
        whole_BTM, rest_BTM = frames_BTM.split([frames_BTM.shape[1] - kept, kept], 1)
        return self._stacked(whole_BTM), (tail_BS, rest_BTM.clone())

    def frames(self, waveform_BS: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map waveform_BS to x_BTM, the normalised log-mel frames with zeros for padding, and their valid number."""
        if lengths_B is not None:  # what a batch is padded with must not leak into a row that is filled up
            waveform_BS = waveform_BS.masked_fill(~valid(lengths_B, waveform_BS), 0)
            lengths_B = self._frame_count(lengths_B)
        waveform_BS = nn.functional.pad(waveform_BS, (0, max(0, self.window - waveform_BS.shape[1])))
        with full_precision(waveform_BS.device):  # powers span more than half precision holds
            windowed_BTW = waveform_BS.to(self.shape.dtype).unfold(1, self.window, self.hop) * self.shape
            power_BTF = torch.view_as_real(torch.fft.rfft(windowed_BTW, self.fft)).square().sum(-1)
            x_BTM = (power_BTF @ self.filters + FLOOR).log()
            return self._normalise(x_BTM, lengths_B), lengths_B

    def steps(self, samples_B: Tensor) -> Tensor:
        """Return the steps that waveforms of these lengths give, (B,)."""
        return -(-self._frame_count(samples_B) // self.stack)

    def _frame_count(self, samples_B: Tensor) -> Tensor:
        return (samples_B - self.window).clamp(min=0) // self.hop + 1

    def _stacked(self, x_BTM: Tensor) -> Tensor:
        rows, frames, bands = x_BTM.shape
        steps = -(-frames // self.stack)
        x_BTM = nn.functional.pad(x_BTM, (0, 0, 0, steps * self.stack - frames))
        return x_BTM.reshape(rows, steps, self.stack * bands)

    def _normalise(self, x_BTM: Tensor, lengths_B: Tensor | None) -> Tensor:
        valid_BT1 = valid(lengths_B, x_BTM)[..., None]
        if self.normalise != "none":
            axes = (1, 2) if self.normalise == "utterance" else (1,)
            # In float64, so that the padding's zeros cannot change a sum by the order in which it is taken.
            x_BTM = x_BTM.double()
            count_B11 = valid_BT1.sum(1, keepdim=True) * (x_BTM.shape[2] if len(axes) == 2 else 1)
            mean = (x_BTM * valid_BT1).sum(axes, keepdim=True) / count_B11
            variance = ((x_BTM - mean) * valid_BT1).square().sum(axes, keepdim=True) / count_B11
            x_BTM = ((x_BTM - mean) / (variance + 1e-5).sqrt()).to(self.shape.dtype)
        return x_BTM.masked_fill(~valid_BT1, 0)

    def _mask(self, x_BTM: Tensor, lengths_B: Tensor | None) -> Tensor:
        rows, frames, bands = x_BTM.shape
        ends_B = torch.full((rows,), frames, device=x_BTM.device) if lengths_B is None else lengths_B
        for _ in range(self.time_masks):
            x_BTM = x_BTM.masked_fill(_stretch(ends_B, self.time_mask, frames)[:, :, None], 0)
        for _ in range(self.band_masks):
            x_BTM = x_BTM.masked_fill(_stretch(torch.full_like(ends_B, bands), self.band_mask, bands)[:, None, :], 0)
        return x_BTM


def _stretch(ends_B: Tensor, longest: int, size: int) -> Tensor:
    """Return mask_BX, True on a stretch of each row: its length even in 0 to ``longest``, its place even in the row."""
    draw_2B = torch.rand(2, len(ends_B), device=ends_B.device)
    length_B = (draw_2B[0] * (longest + 1)).floor()
    start_B = (draw_2B[1] * (ends_B - length_B + 1).clamp(min=1)).floor()
    place_X = torch.arange(size, device=ends_B.device)
    return (place_X >= start_B[:, None]) & (place_X < (start_B + length_B)[:, None])
