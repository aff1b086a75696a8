"""One class per sequence."""

from seqkit.tasks.classify import head as head
from seqkit.tasks.classify import spec as spec
