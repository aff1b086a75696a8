"""A task with all that belongs to it: the import of each part registers it."""

from seqkit_example import data, head, task  # noqa: F401
