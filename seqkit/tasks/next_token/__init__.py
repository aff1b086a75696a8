"""The token after each token, language models."""

from seqkit.tasks.next_token import head as head
from seqkit.tasks.next_token import spec as spec
