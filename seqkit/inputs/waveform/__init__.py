"""Waveforms: mono sound."""

from seqkit.inputs.waveform import logmel as logmel
from seqkit.inputs.waveform import spec as spec
