"""Frames: vectors of numbers at even steps."""

from seqkit.inputs.frames import frontend as frontend
from seqkit.inputs.frames import spec as spec
