import torch

from seqkit.padding import after_last, reverse


def test_reverse_turns_each_row_within_its_length():
    x = torch.tensor([[1, 1], [2, 2], [3, 3]])[:, :, None]  # T, B, 1
    assert reverse(x, torch.tensor([3, 2]))[:, :, 0].tolist() == [[3, 2], [2, 1], [1, 3]]
    assert reverse(x, None)[:, :, 0].tolist() == [[3, 3], [2, 2], [1, 1]]
    assert torch.equal(reverse(reverse(x, torch.tensor([3, 2])), torch.tensor([3, 2])), x)


def test_after_last_picks_the_last_valid_step_or_the_initial_state():
    x = torch.tensor([[1, 10, 100], [2, 20, 200]])[:, :, None]  # T, B, 1
    initial = torch.tensor([[7], [8], [9]])
    assert after_last(x, torch.tensor([2, 1, 0]), initial)[:, 0].tolist() == [2, 10, 9]
    assert after_last(x, None, initial)[:, 0].tolist() == [2, 20, 200]
