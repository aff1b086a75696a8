"""Words with the characters that spell them."""

from seqkit.inputs.words import frontend as frontend
from seqkit.inputs.words import spec as spec
