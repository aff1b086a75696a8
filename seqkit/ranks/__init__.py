"""Several processes that train one network together: where each stands, and what they tell each other."""

from seqkit.ranks.group import Group, connected, group
from seqkit.ranks.place import Place, in_words, place_here, wanted_ranks

__all__ = ["Group", "Place", "connected", "group", "in_words", "place_here", "wanted_ranks"]
