import pytest

import seqkit
from seqkit.testing import check_logger
from tests.testing.mutants import registered


def test_tensorboard():
    pytest.importorskip("tensorboard")
    check_logger("tensorboard")


def test_a_logger_without_finalize(load):
    @seqkit.register_logger("lines")
    class Lines:
        """Appends a line per call."""

        def __init__(self, folder, config):
            self.path = folder / "lines"

        def log_metrics(self, metrics, step):
            with self.path.open("a") as file:
                file.write(f"{step} {metrics}\n")

    check_logger("lines")


def test_what_the_mutants_share_is_right(load):
    with registered():
        from tests.testing.mutants.loggers import Lines
    seqkit.register_logger("lines")(Lines)
    check_logger("lines")
