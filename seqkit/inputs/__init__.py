"""The kinds of inputs that seqkit brings, each with its frontends."""

from seqkit.inputs import frames as frames
from seqkit.inputs import tokens as tokens
from seqkit.inputs import waveform as waveform
from seqkit.inputs import words as words
