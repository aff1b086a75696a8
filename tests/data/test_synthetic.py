import pickle
from itertools import chain

import pytest
import torch

from seqkit.data.synthetic import BLOCK, Adding
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.forecast.spec import Series


def made(**options):
    data = Adding(**{"length": 10, "train_size": 5, "valid_size": 7, "test_size": 7, **options})
    data.setup()
    return data


def every(data, split, epoch=0):
    part = data.part(split)
    return data.collate([part[index] for index in chain(*data.order(split, 4, 0, epoch))])


@pytest.mark.parametrize("length", [2, 3, 10, 11])
def test_the_target_is_the_sum_of_the_two_marked_values(length):
    batch = every(made(length=length, test_size=500), "test")
    values_BT, marks_BT = batch.inputs.unbind(2)
    assert batch.inputs.shape == (500, length, 2)
    assert batch.targets.shape == (500, 1, 1)
    torch.testing.assert_close(batch.targets[:, 0, 0], (values_BT * marks_BT).sum(1))
    half = length // 2
    assert marks_BT[:, :half].sum(1).tolist() == marks_BT[:, half:].sum(1).tolist() == [1.0] * 500
    assert (marks_BT.sum(0) > 0).all()  # any step can be marked
    assert ((values_BT >= 0) & (values_BT < 1)).all()


def test_always_answering_one_has_the_variance_of_two_uniform_numbers():
    targets = every(made(test_size=20_000), "test").targets
    assert targets.mean().item() == pytest.approx(1, abs=0.01)
    assert (targets - 1).square().mean().item() == pytest.approx(1 / 6, abs=0.005)


def test_samples_are_a_pure_function_of_seed_split_and_index():
    torch.manual_seed(0)
    data, again = made(), made()
    forth = [data.part("train")[index] for index in (0, BLOCK - 1, BLOCK, 3 * BLOCK, 1)]
    torch.manual_seed(1)
    back = [again.part("train")[index] for index in (1, 3 * BLOCK, BLOCK, BLOCK - 1, 0)]
    for (inputs, target), (same_inputs, same_target) in zip(forth, reversed(back), strict=True):
        assert torch.equal(inputs, same_inputs)
        assert torch.equal(target, same_target)
    assert not torch.equal(data.part("train")[0][0], data.part("test")[0][0])
    assert not torch.equal(data.part("train")[0][0], made(seed=1).part("train")[0][0])


def test_each_pass_draws_new_training_samples_and_the_same_evaluation_samples():
    data = made()
    assert list(chain(*data.order("train", 2, seed=3, epoch=0))) == [0, 1, 2, 3, 4]
    assert list(chain(*data.order("train", 2, seed=3, epoch=2))) == [10, 11, 12, 13, 14]
    assert list(chain(*data.order("valid", 4, seed=3, epoch=2))) == list(range(7))
    assert not torch.equal(every(data, "train", 0).inputs, every(data, "train", 1).inputs)


def test_spec_gives_errors_in_plain_units():
    data = made()
    assert data.spec.inputs == Frames(("value", "mark"), (0.0, 0.0), (1.0, 1.0))
    assert data.spec.task == Series(1, ("sum",), (1.0,), (1.0,))
    assert data.facts["train"] == "5 sequences a pass, new ones each pass"


def test_fingerprint_follows_the_content():
    assert made().fingerprint == made(batch_size=1).fingerprint
    assert len({made().fingerprint, made(seed=1).fingerprint, made(length=11).fingerprint}) == 3


def test_parts_go_to_other_processes():
    part = made().part("train")
    part[0]
    assert torch.equal(pickle.loads(pickle.dumps(part))[0][0], part[0][0])
