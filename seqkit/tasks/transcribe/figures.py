"""Figure of transcription: spectrograms with what was said and heard."""

from collections.abc import Sequence
from typing import Any

from seqkit.contracts.batch import Batch
from seqkit.plotting import panels


def spectrograms(batch: Batch, said: Sequence[str], heard: Sequence[str], rate: int) -> Any:
    """Draw the spectrogram of each example.

    Args:
        batch: Waveforms (B, samples).
        said: True transcript of each.
        heard: Predicted transcript of each.
        rate: Samples per second.
    """
    figure, axes = panels(len(batch), 1, 9, 1.9 * len(batch))
    for row, axis in enumerate(axes):
        steps = int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]
        axis.specgram(batch.inputs[row, :steps].numpy(), NFFT=256, Fs=rate, noverlap=192, cmap="magma")
        axis.set_title(f"said {said[row]!r}, heard {heard[row]!r}", fontsize=9, loc="left", parse_math=False)
        axis.set_ylabel("Hz")
    axes[-1].set_xlabel("seconds")
    return figure
