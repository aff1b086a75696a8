"""Sound files as waveforms."""

# S samples

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import DataError
from seqkit.files import existing_file
from seqkit.inputs.waveform.wav_header import wav_fault_reason


def read(source: Any, rate: int) -> Tensor:
    """Return waveform_S of a WAV or FLAC file, or of an array (S,) at ``rate`` samples per second.

    Raises:
        DataError: The file cannot be decoded, or the array is not of this shape or not finite.
    """
    if isinstance(source, str | Path):
        return read_waveform(existing_file(source, "a WAV or FLAC file"), rate)
    waveform_S = torch.as_tensor(np.asarray(source), dtype=torch.float32)
    if waveform_S.ndim != 1 or not len(waveform_S):
        raise DataError(
            f"the array has shape {tuple(waveform_S.shape)}; expected (samples,) at {rate} samples a second"
        )
    if not bool(waveform_S.isfinite().all()):
        raise DataError("the array holds values that are not numbers (NaN or infinity)")
    return waveform_S


def read_waveform(path: str | Path, rate: int) -> Tensor:
    """Return waveform_S of a sound file, channels mixed to one and resampled to ``rate`` samples a second.

    Raises:
        DataError: The file cannot be decoded.
    """
    import soundfile
    import soxr

    try:
        fault = wav_fault_reason(path)
        with soundfile.SoundFile(path) as file:
            samples, own_rate, promised = file.read(dtype="float32", always_2d=True), file.samplerate, file.frames
    except (soundfile.SoundFileError, OSError) as error:
        raise unreadable(path, error) from None
    if fault is None and len(samples) < promised:
        fault = f"cut off: its header promises {promised:,} samples, the file holds {len(samples):,}"
    if fault:
        raise DataError(f"{path}: {fault}")
    if not len(samples):
        raise DataError(f"{path}: holds no sound")
    waveform_S = samples.mean(axis=1)
    if own_rate != rate:
        waveform_S = soxr.resample(waveform_S, own_rate, rate)
    waveform_S = torch.from_numpy(waveform_S)
    if not bool(waveform_S.isfinite().all()):
        raise DataError(f"{path}: holds samples that are not numbers (NaN or infinity)")
    return waveform_S


def unreadable(path: str | Path, error: Exception) -> DataError:
    """Build the refusal of a sound file that cannot be decoded."""
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return DataError(f"{path}: is empty; expected a WAV or FLAC file")
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return DataError(f"{path}: cannot be read as WAV or FLAC ({reason})")
