"""Numbers per sequence."""

from seqkit.tasks.regress import head as head
from seqkit.tasks.regress import spec as spec
