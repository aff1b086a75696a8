import pytest

import seqkit
from seqkit.testing import check_scheduler
from tests.testing.built_in import lines


@pytest.mark.seqkit(
    *lines("scheduler"), "scheduler=cosine scheduler.warmup=10", "scheduler=plateau scheduler.patience=0"
)
def test_built_in_schedulers(check):
    check()


def test_a_closure_without_a_state(load):
    @seqkit.register_scheduler("halves")
    def halves(total_steps: int, mode: str, *, times: int = 3):
        """Half the rate, some times.

        Args:
            total_steps: Of the training.
            mode: Not used.
            times: How often.
        """
        return lambda step: 0.5 ** (times * step // total_steps)

    check_scheduler("halves")
