import pytest
import torch

import seqkit
from seqkit.testing import check_optimizer
from tests.testing.built_in import lines
from tests.testing.mutants import registered


@pytest.mark.seqkit(*lines("optimizer"), "optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=true")
def test_built_in_optimizers(check):
    check()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.NAdam])
def test_optimizers_of_torch(load, kind):
    def factory(parameters: list, *, lr: float = 0.01):
        """One of torch's own.

        Args:
            parameters: Groups.
            lr: Learning rate.
        """
        return kind(parameters, lr=lr)

    seqkit.register_optimizer("of_torch")(factory)
    check_optimizer("of_torch")


def test_what_the_mutants_share_is_right(load):
    with registered():
        from tests.testing.mutants.optimizers import Signum
    seqkit.register_optimizer("signum")(Signum)
    check_optimizer("signum")
