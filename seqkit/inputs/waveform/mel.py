"""Filters that are even on the mel scale."""

# F frequencies, M mel bands

import torch
from torch import Tensor

from seqkit.errors import ConfigError


def filters_for_window(n_mels: int, window: int, rate: int, fmin: float, fmax: float) -> Tensor:
    """Return filters_FM on the coarsest power-of-two transform that gives every band at least one frequency."""
    fft = 1 << max(1, (window - 1).bit_length())
    for size in (fft, 2 * fft, 4 * fft, 8 * fft):
        filters_FM = mel_filters(n_mels, size, rate, fmin, fmax)
        if bool((filters_FM.sum(0) > 0).all()):
            return filters_FM
    raise ConfigError(
        f"frontend.n_mels={n_mels}: too many bands between {fmin:g} and {fmax:g} Hz for a window of {window} samples; "
        "use fewer bands or a longer frontend.window"
    )


def mel_filters(n_mels: int, fft: int, rate: int, fmin: float, fmax: float) -> Tensor:
    """Return filters_FM: triangles of height 1 whose corners are even on the mel scale of O'Shaughnessy (1987).

    m = 2595 log10(1 + f / 700), as in HTK (Young et al., The HTK Book, section 5.4).

    Args:
        n_mels: Bands.
        fft: Samples of the transform, which has fft / 2 + 1 frequencies.
        rate: Samples a second.
        fmin: Lower corner of the lowest band, in Hz.
        fmax: Upper corner of the highest band, in Hz.
    """
    ends = 2595 * torch.log10(1 + torch.tensor([fmin, fmax], dtype=torch.float64, device="cpu") / 700)
    mels = torch.linspace(float(ends[0]), float(ends[1]), n_mels + 2, dtype=torch.float64, device="cpu")
    corners = 700 * (10 ** (mels / 2595) - 1)
    low_M, centre_M, high_M = corners[:-2], corners[1:-1], corners[2:]
    hertz_F1 = torch.linspace(0, rate / 2, fft // 2 + 1, dtype=torch.float64, device="cpu")[:, None]
    rising_FM = (hertz_F1 - low_M) / (centre_M - low_M)
    falling_FM = (high_M - hertz_F1) / (high_M - centre_M)
    return torch.minimum(rising_FM, falling_FM).clamp(min=0).float()
