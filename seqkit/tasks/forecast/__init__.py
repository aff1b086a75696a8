"""The next rows of a series."""

from seqkit.tasks.forecast import head as head
from seqkit.tasks.forecast import spec as spec
