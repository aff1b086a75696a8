"""The frontends that seqkit brings."""

from seqkit.frontends import embedding as embedding
from seqkit.frontends import frames as frames
from seqkit.frontends import logmel as logmel
