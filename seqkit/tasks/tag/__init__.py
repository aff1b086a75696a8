"""A tag per step of a sequence."""

from seqkit.tasks.tag import head as head
from seqkit.tasks.tag import spec as spec
