from collections import Counter
from itertools import chain, pairwise

import pytest
import torch

from seqkit.data.timing import Timing
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.classify.spec import Classes


def made(**options):
    data = Timing(**{"train_size": 5, "valid_size": 6, "test_size": 6, **options})
    data.setup()
    return data


def every(data, split, epoch=0):
    part = data.part(split)
    return [part[index] for index in chain(*data.order(split, 4, 0, epoch))]


def places(sample):
    return sample[0][:, 0].nonzero().flatten().tolist()


@pytest.mark.parametrize("pulses", [2, 3, 5])
@pytest.mark.parametrize("distance", [2, 7, 50])
def test_the_class_says_how_far_apart_the_pulses_are(distance, pulses):
    data = made(distance=distance, pulses=pulses, test_size=20)
    assert data.spec.task == Classes((str(distance - 1), str(distance)), (3, 2))
    for sample in every(data, "test"):
        found, gap = places(sample), int(data.spec.task.names[sample[1]])
        assert [late - early for early, late in pairwise(found)] == [gap] * (pulses - 1)
        assert found[-1] == len(sample[0]) - 1  # the sequence ends with a pulse
        assert sample[0].sum() == pulses  # and all else is silence


def test_the_length_says_nothing_of_the_class():
    samples = every(made(offset=9, test_size=2000), "test")
    ends = {label: Counter(len(inputs) for inputs, other in samples if other == label) for label in (0, 1)}
    assert ends[0] == ends[1]
    assert sorted(ends[0]) == list(range(51, 61))
    assert min(ends[0].values()) > 60  # of 100 expected, deviation 9.5


def test_the_first_pulse_says_no_more_than_is_stated():
    data = made(distance=10, pulses=3, offset=19, test_size=4000)
    seen = Counter((places(sample)[0], int(sample[1])) for sample in every(data, "test"))
    right = sum(max(seen[place, 0], seen[place, 1]) for place in range(22)) / 4000
    assert right == pytest.approx((1 + 2 / 20) / 2, abs=0.03)  # chance adds a little to each of the 22 places


def test_samples_are_a_pure_function_of_seed_split_and_index():
    torch.manual_seed(0)
    data = made()
    forth = [data.part("train")[index] for index in range(8)]
    torch.manual_seed(1)
    back = [made().part("train")[index] for index in reversed(range(8))]
    for (inputs, label), (same_inputs, same_label) in zip(forth, reversed(back), strict=True):
        assert torch.equal(inputs, same_inputs)
        assert label == same_label
    first = [places(sample) for sample in forth]
    assert first != [places(made().part("test")[index]) for index in range(8)]
    assert first != [places(made(seed=1).part("train")[index]) for index in range(8)]


def test_each_pass_draws_new_training_samples_and_the_same_evaluation_samples():
    data = made()
    assert list(chain(*data.order("train", 2, seed=3, epoch=2))) == [10, 11, 12, 13, 14]
    assert list(chain(*data.order("valid", 4, seed=3, epoch=2))) == list(range(6))


def test_batches_are_padded_with_silence():
    data = made(distance=3, offset=9)
    samples = every(data, "test")
    batch = data.collate(samples)
    assert data.spec.inputs == Frames(("pulse",), (0.0,), (1.0,))
    assert batch.inputs.shape == (6, int(batch.lengths.max()), 1)
    assert batch.lengths.tolist() == [len(inputs) for inputs, _ in samples]
    assert batch.inputs.sum((1, 2)).tolist() == [2.0] * 6
    assert batch.targets.tolist() == [0, 1] * 3
    assert data.facts["length"] == "4 to 13 steps"


def test_fingerprint_follows_the_content():
    assert made().fingerprint == made(batch_size=1).fingerprint
    changed = [{}, {"seed": 1}, {"distance": 49}, {"pulses": 3}, {"offset": 1}, {"test_size": 7}]
    assert len({made(**options).fingerprint for options in changed}) == len(changed)


def test_sequences_longer_than_memory_are_refused():
    with pytest.raises(ConfigError, match=r"make sequences of 1,000,000,100 steps; at most 10,000,000 can be made"):
        Timing(distance=10**9)
