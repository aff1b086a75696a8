"""Several processes that train one network together: where each stands, and what they tell each other."""

from seqkit.ranks.group import DelayedMax, Group, group
from seqkit.ranks.place import Place, in_words, place_here, wanted_ranks

__all__ = ["DelayedMax", "Group", "Place", "group", "in_words", "place_here", "wanted_ranks"]
