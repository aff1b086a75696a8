"""The next rows of a series."""

from seqkit.tasks.forecast import distribution as distribution
from seqkit.tasks.forecast import head as head
from seqkit.tasks.forecast import quantile as quantile
from seqkit.tasks.forecast import spec as spec
