import pytest
import torch

from seqkit.testing.check import CheckError
from seqkit.testing.compare import difference, largest


@pytest.mark.parametrize(("found", "due", "by"), [
    ([1.0, 2.0], [1.0, 2.0], 0.0),
    ([0.5], [0.25], 0.25),
    ([110.0], [100.0], 0.1),
    ([float("nan")], [float("nan")], float("inf")),
    ([], [], 0.0),
])  # fmt: skip
def test_difference(found, due, by):
    assert difference(torch.tensor(found), torch.tensor(due)) == pytest.approx(by)


def test_other_shapes():
    with pytest.raises(CheckError, match=r"shape \(1,\), not \(2,\)"):
        difference(torch.zeros(1), torch.zeros(2))
    with pytest.raises(CheckError, match="1 tensors, not 0"):
        largest((torch.zeros(1),), ())
    assert largest((), ()) == 0.0
