"""What goes wrong in a worker process is told as it is without one."""

import os
import signal

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.data.loading import evaluation_loader
from seqkit.errors import DataError, PluginError


class Samples:
    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault

    def __getitem__(self, index: int) -> int:
        if self.fault and index == 3:
            raise self.fault
        return index


class Numbers:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def part(self, split):
        return Samples(self.fault)

    def collate(self, samples):
        return Batch(torch.tensor(samples))

    def order(self, split, batch_size, seed, epoch):
        return [[0, 1], [2, 3], [4]]


def test_batches_of_workers_are_those_without():
    found = [
        [batch.inputs.tolist() for batch in evaluation_loader(Numbers(), "test", 2, workers)] for workers in (0, 2)
    ]
    assert found == [[[0, 1], [2, 3], [4]]] * 2


def test_an_exception_has_its_authors_line_and_its_traceback():
    with pytest.raises(PluginError) as refused:
        list(evaluation_loader(Numbers(KeyError("a note")), "test", 2, 1))
    assert str(refused.value).startswith("reading samples of Numbers fails (")
    assert str(refused.value).endswith("test_loading.py:20): KeyError: 'a note'")
    assert "raise self.fault" in str(refused.value.__cause__)


def test_a_refusal_stays_one_line():
    with pytest.raises(DataError, match=r"^take 3 is no WAV file$"):
        list(evaluation_loader(Numbers(DataError("take 3 is no WAV file")), "test", 2, 1))


class Signalled(Numbers):
    """Every batch comes after a SIGTERM that is not from the training process."""

    def collate(self, samples):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().collate(samples)


def test_workers_outlive_a_signal_to_all_processes_and_end_with_the_training():
    assert len(list(evaluation_loader(Signalled(), "test", 2, 1))) == 3
    iterator = iter(evaluation_loader(Numbers(), "test", 2, 1).loader)
    next(iterator)  # its worker has started
    [process] = iterator._workers
    process.terminate()  # as multiprocessing does at exit
    process.join(30)
    assert process.exitcode == 0
    del iterator
