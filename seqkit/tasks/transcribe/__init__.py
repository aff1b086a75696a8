"""A string of symbols per sequence, without alignment."""

from seqkit.tasks.transcribe import head as head
from seqkit.tasks.transcribe import spec as spec
