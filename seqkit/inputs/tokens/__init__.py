"""Tokens: symbols from a vocabulary."""

from seqkit.inputs.tokens import embedding as embedding
from seqkit.inputs.tokens import spec as spec
from seqkit.inputs.tokens import subwords as subwords
