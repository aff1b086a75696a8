"""What ranks tell each other, where one of them is gone."""

from contextlib import suppress

import pytest
from torch import distributed as dist

from seqkit.ranks.group import Group, LostError
from seqkit.ranks.place import Place


def test_a_lost_rank_is_no_error_that_a_report_could_leave_out(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("gloo: connection closed by peer")

    monkeypatch.setattr(dist, "all_gather_object", fail)
    with pytest.raises(LostError, match="connection closed"), suppress(Exception):
        Group(Place(rank=0, size=2)).gather("scores")
