import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.tag.baselines import baselines


class Data:
    def __init__(self, rows):
        self.rows = rows

    def part(self, split):
        assert split == "train"
        return self.rows

    def collate(self, samples):
        inputs, targets = zip(*samples, strict=True)
        return Batch(torch.stack(inputs), None, torch.stack(targets))


def test_most_frequent_tags():
    rows = [(torch.tensor([4, 4, 5, 6]), torch.tensor([1, 1, 0, 2])), (torch.tensor([4, 5]), torch.tensor([2, 0]))]
    found = baselines(3, Data(rows))
    batch = Batch(torch.tensor([[4, 5, 6, 9]]), None)
    assert found["majority tag"](batch).tags_BT.tolist() == [[0, 0, 0, 0]]  # of as many the first
    assert found["most frequent tag per word"](batch).tags_BT.tolist() == [[1, 0, 2, 0]]


def test_numbers_have_no_words():
    rows = [(torch.randn(3, 2), torch.tensor([1, 1, 0]))]
    assert set(baselines(2, Data(rows))) == {"majority tag"}
