import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.data.loading import evaluation_loader
from seqkit.data.ordering import rows_of_rank, shuffled, streams
from seqkit.training.loader import TrainLoader, steps_per_epoch


class Numbers:
    batch_size = 4

    def part(self, split):
        return range(10)

    def collate(self, samples):
        return Batch(torch.tensor(samples))

    def order(self, split, batch_size, seed, epoch):
        return shuffled(10, batch_size, seed, epoch)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_cut_rows_and_a_stream_stays_on_its_rank(world):
    order = streams(23, 5, 5)
    home: dict[int, tuple[int, int]] = {}
    for batch in order:
        cut = [rows_of_rank(batch, rank, world) for rank in range(world)]
        assert sorted(index for rows in cut for index in rows) == sorted(batch)
        for row, index in enumerate(batch):
            place = (row % world, cut[row % world].index(index))
            assert home.setdefault(row, place) == place


def read(loader, count):
    batches = iter(loader)
    return [next(batches).inputs.tolist() for _ in range(count)]


@pytest.mark.parametrize("at", [1, 3, 4, 6])
def test_goes_on_from_anywhere(at):
    loader = TrainLoader(Numbers(), 1, 9, 0, False)
    first = read(loader, at)
    again = TrainLoader(Numbers(), 1, 9, 0, False)
    again.load_state_dict(loader.state_dict())
    assert first + read(again, 9 - at) == read(TrainLoader(Numbers(), 1, 9, 0, False), 9)


def test_ranks_share_every_batch():
    whole = read(TrainLoader(Numbers(), 1, 3, 0, False), 3)
    ranks = [read(TrainLoader(Numbers(), 1, 3, 0, False, rank, 2), 3) for rank in range(2)]
    assert ranks == [[batch[rank::2] for batch in whole] for rank in range(2)]


def test_evaluation_has_every_sample_once():
    batches = [batch.inputs.tolist() for batch in evaluation_loader(Numbers(), "test", 3)]
    assert sorted(index for batch in batches for index in batch) == list(range(10))


def test_steps_per_epoch_counts_a_last_smaller_step():
    assert steps_per_epoch(Numbers(), 1, accumulate=2) == 2
