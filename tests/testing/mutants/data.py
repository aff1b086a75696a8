"""Broken data sets, most of them a built-in one with a method that is wrong."""

# B batch, T time, L look-back

import random
from dataclasses import replace
from hashlib import sha256

import torch

import seqkit
from seqkit.data.ordering import streams
from seqkit.data.synthetic import Adding
from seqkit.data.text import TextFiles
from seqkit.data.timing import Timing
from tests.testing.mutants import STREAMS, TEXT, mutant

SIZES = ("data.train_size=16", "data.valid_size=7", "data.test_size=7", "data.batch_size=4")
ADDING = ("data.length=6", *SIZES)
TIMING = ("data.distance=10", "data.pulses=3", "data.offset=200", "data.seed=1", *SIZES)


@mutant("data", "no_fingerprint", "can_be_set_up", "fingerprint is None", True, ADDING)
@seqkit.register_data("no_fingerprint")
class NoFingerprint(Adding):
    """The check of changed data is off without a word."""

    def setup(self):
        super().setup()
        self.fingerprint = None


@mutant("data", "named_fingerprint", "fingerprint_is_a_sha256", "hashlib.sha256", True, ADDING)
@seqkit.register_data("named_fingerprint")
class NamedFingerprint(Adding):
    """A version where a digest is due, which somebody must remember to count up."""

    def setup(self):
        super().setup()
        self.fingerprint = "v1"


@mutant("data", "constant_fingerprint", "fingerprint_changes_with_the_content", "hash what is read", False, ADDING)
@seqkit.register_data("constant_fingerprint")
class ConstantFingerprint(Adding):
    """The hash of its name, whatever it holds."""

    def setup(self):
        super().setup()
        self.fingerprint = sha256(b"constant_fingerprint").hexdigest()


@mutant("data", "fingerprint_of_the_path", "fingerprint_changes_with_the_content", "hash what is read", False, STREAMS)
@seqkit.register_data("fingerprint_of_the_path")
class FingerprintOfTheName(TextFiles):
    """The hash of the file's name and not of what is in it."""

    def setup(self):
        super().setup()
        self.fingerprint = sha256(self._files[0][0].name.encode()).hexdigest()


@mutant("data", "facts_of_tensors", "facts_are_plain_json", "not JSON serializable", True, ADDING)
@seqkit.register_data("facts_of_tensors")
class FactsOfTensors(Adding):
    """A report is written as JSON, after the training."""

    def setup(self):
        super().setup()
        self.facts = {"mean": torch.tensor(1.0)}


@mutant("data", "spec_of_a_list", "spec_survives_json", "tuples", True, ADDING)
@seqkit.register_data("spec_of_a_list")
class SpecOfAList(Adding):
    """A spec that no checkpoint can hold."""

    def setup(self):
        super().setup()
        self.spec = replace(self.spec, inputs=replace(self.spec.inputs, names=["value", "mark"]))


@mutant("data", "list_of_tensors", "collate_returns_a_batch", "return a seqkit.Batch", True, ADDING)
@seqkit.register_data("list_of_tensors")
class ListOfTensors(Adding):
    """Batches as torch's own collate makes them."""

    def collate(self, samples):
        return [torch.stack(part) for part in zip(*samples, strict=True)]


@mutant("data", "time_first", "collate_returns_a_batch", "the batch must come first", True, ADDING)
@seqkit.register_data("time_first")
class TimeFirst(Adding):
    """Inputs (T, B, I), as torch's recurrent layers take them by default."""

    def collate(self, samples):
        batch = super().collate(samples)
        return replace(batch, inputs=batch.inputs.transpose(0, 1))


@mutant("data", "no_lengths", "lengths_are_those_of_the_rows", "where rows are padded", True, TIMING)
@seqkit.register_data("no_lengths")
class NoLengths(Timing):
    """Rows are padded, and nobody is told."""

    def collate(self, samples):
        return replace(super().collate(samples), lengths=None)


@mutant("data", "padded_in_front", "lengths_are_those_of_the_rows", "pad at the end", True, TIMING)
@seqkit.register_data("padded_in_front")
class PaddedInFront(Timing):
    """Each row ends with the last step of the batch."""

    def collate(self, samples):
        batch = super().collate(samples)
        if batch.lengths is None:
            return batch
        steps = batch.inputs.shape[1]
        rows = zip(batch.inputs, batch.lengths.tolist(), strict=True)
        return replace(batch, inputs=torch.stack([row.roll(steps - length, 0) for row, length in rows]))


@mutant("data", "float64", "batches_are_what_the_spec_says", "torch.float64", True, ADDING)
@seqkit.register_data("float64")
class Float64(Adding):
    """Inputs as numpy gives them."""

    def collate(self, samples):
        batch = super().collate(samples)
        return replace(batch, inputs=batch.inputs.double())


@mutant("data", "class_beyond_the_last", "batches_are_what_the_spec_says", "out of bounds", True, TIMING)
@seqkit.register_data("class_beyond_the_last")
class ClassBeyondTheLast(Timing):
    """Classes counted from 1."""

    def collate(self, samples):
        batch = super().collate(samples)
        return replace(batch, targets=batch.targets + 1)


@mutant("data", "missing_values", "batches_are_what_the_spec_says", "look for NaN", True, ADDING)
@seqkit.register_data("missing_values")
class MissingValues(Adding):
    """A missing value among the targets."""

    def collate(self, samples):
        batch = super().collate(samples)
        batch.targets[0] = torch.nan
        return batch


@mutant("data", "random_test_order", "order_is_a_function_of_its_arguments", "differs between two calls", True, ADDING)
@seqkit.register_data("random_test_order")
class RandomTestOrder(Adding):
    """Shuffled anew at every call."""

    def order(self, split, batch_size, seed, epoch):
        batches = [*super().order(split, batch_size, seed, epoch)]
        random.shuffle(batches)
        return batches


@mutant("data", "shuffled_test", "order_is_a_function_of_its_arguments", "shuffle 'train' only", True, ADDING)
@seqkit.register_data("shuffled_test")
class ShuffledTest(Adding):
    """The evaluated parts are shuffled by seed and epoch like the training part."""

    def order(self, split, batch_size, seed, epoch):
        return seqkit.shuffled(self.sizes[split], batch_size, seed, epoch)


@mutant("data", "other_parameters", "order_is_a_function_of_its_arguments", "name the parameters", True, ADDING)
@seqkit.register_data("other_parameters")
class OtherParameters(Adding):
    """The names of the parameters are part of the contract."""

    def order(self, part, size, seed, number):
        return super().order(part, size, seed, number)


@mutant("data", "drops_the_last", "evaluation_takes_every_sample_once", "leaves out 3 of 7", True, ADDING)
@seqkit.register_data("drops_the_last")
class DropsTheLast(Adding):
    """The last batch is not full and is left out, as drop_last does."""

    def order(self, split, batch_size, seed, epoch):
        return [batch for batch in super().order(split, batch_size, seed, epoch) if len(batch) == batch_size]


@mutant("data", "fills_the_last", "evaluation_takes_every_sample_once", "takes 1 more than once", True, ADDING)
@seqkit.register_data("fills_the_last")
class FillsTheLast(Adding):
    """The last batch is filled up with the first samples, as a distributed sampler does."""

    def order(self, split, batch_size, seed, epoch):
        return [[*batch, *range(batch_size - len(batch))] for batch in super().order(split, batch_size, seed, epoch)]


@mutant("data", "never_shuffled", "training_order_changes_with_the_epoch", "seqkit.shuffled", False, ADDING)
@seqkit.register_data("never_shuffled")
class NeverShuffled(Adding):
    """The same order in every epoch."""

    def order(self, split, batch_size, seed, epoch):
        return seqkit.sequential(self.sizes[split], batch_size)


class Noisy:
    """Samples with noise from torch's global generator."""

    def __init__(self, part):
        self.part = part

    def __len__(self):
        return len(self.part)

    def __getitem__(self, index):
        inputs, target = self.part[index]
        return inputs + torch.randn_like(inputs), target


@mutant("data", "noise_in_every_part", "an_evaluated_sample_is_the_same_each_time", "seeded by its index", True, ADDING)
@seqkit.register_data("noise_in_every_part")
class NoiseInEveryPart(Adding):
    """Noise drawn anew each time, in the evaluated parts too."""

    def part(self, split):
        return Noisy(super().part(split))


@mutant("data", "noise_in_training", "a_training_sample_is_the_same_each_time", "seeded by its index", False, ADDING)
@seqkit.register_data("noise_in_training")
class NoiseInTraining(Adding):
    """An augmentation that each worker process draws otherwise."""

    def part(self, split):
        return Noisy(super().part(split)) if split == "train" else super().part(split)


@mutant(
    "data",
    "streams_by_batch_size",
    "streams_do_not_depend_on_the_batch_size",
    "fixed number of streams",
    False,
    STREAMS,
)
@seqkit.register_data("streams_by_batch_size")
class StreamsByBatchSize(TextFiles):
    """As many streams as rows in a batch; each but the first starts within another."""

    def order(self, split, batch_size, seed, epoch):
        return streams(len(self._parts[split]), batch_size, batch_size)

    def collate(self, samples):
        batch = super().collate(samples)
        return replace(batch, fresh_B=torch.zeros_like(batch.fresh_B) | (self._is_first(samples)))

    def _is_first(self, samples):
        first, _ = self._parts["valid"][0]
        return bool(torch.equal(samples[0][0], first))


@mutant("data", "overlapping_parts", "parts_share_no_sample", "are in train too", False, ADDING)
@seqkit.register_data("overlapping_parts")
class OverlappingParts(Adding):
    """The test part begins before the training part has ended."""

    def setup(self):
        super().setup()
        train = self._parts["train"]
        self._parts["test"] = [train[index] for index in range(len(train) - 4, len(train) + 3)]


@mutant("data", "drawn_at_setup", "the_same_options_give_the_same_data", "seed every generator", False, ADDING)
@seqkit.register_data("drawn_at_setup")
class DrawnAtSetup(Adding):
    """Samples from a generator that nobody has seeded."""

    def setup(self):
        super().setup()
        shift = random.SystemRandom().random()
        for split, part in self._parts.items():
            samples = [part[index] for index in range(len(part) * (3 if split == "train" else 1))]
            self._parts[split] = [(inputs + shift, target) for inputs, target in samples]


@mutant("data", "holds_a_lambda", "a_worker_process_loads_the_same", "no lambda", False, ADDING)
@seqkit.register_data("holds_a_lambda")
class HoldsALambda(Adding):
    """A function that cannot be sent to another process."""

    def setup(self):
        super().setup()
        self.transform = lambda inputs: inputs


@mutant("data", "by_process", "a_worker_process_loads_the_same", "a worker process loads other batches", False, ADDING)
@seqkit.register_data("by_process")
class ByProcess(Adding):
    """Samples that depend on the worker that loads them."""

    def collate(self, samples):
        batch = super().collate(samples)
        return replace(batch, inputs=batch.inputs + (torch.utils.data.get_worker_info() is not None))


@mutant("data", "read_at_once", "nothing_is_read_before_setup", "in setup", False, ADDING)
@seqkit.register_data("read_at_once")
class ReadAtOnce(Adding):
    """All data is in memory when it is merely described."""

    def __init__(self, *, length: int = 6, train_size: int = 16, valid_size: int = 7, test_size: int = 7,
                 batch_size: int = 4) -> None:  # fmt: skip
        super().__init__(
            length=length, train_size=train_size, valid_size=valid_size, test_size=test_size, batch_size=batch_size
        )
        self.values = torch.zeros(100_000)


@mutant("data", "vocabulary_of_all", "spec_comes_from_the_training_part", "spec.inputs.tokenizer", False, STREAMS)
@seqkit.register_data("vocabulary_of_all")
class VocabularyOfAll(TextFiles):
    """A vocabulary that knows the symbols of the test part."""

    def setup(self):
        super().setup()
        kind = type(self.spec.inputs.tokenizer)
        tokenizer = kind.fit(kind.pieces(self._files[0][0].read_text()), None)
        self.spec = replace(self.spec, inputs=replace(self.spec.inputs, tokenizer=tokenizer))


@mutant("data", "scaled_by_all", "spec_comes_from_the_training_part", "spec.inputs.mean", False)
@seqkit.register_data("scaled_by_all")
class ScaledByAll:
    """The mean of all rows, those of the test part too.

    Args:
        path: Text file; the number at a row is the mean of the bytes of a line.
        batch_size: Windows per batch.
    """

    def __init__(self, *, path: str = str(TEXT), batch_size: int = 4) -> None:
        self.path, self.batch_size = path, batch_size

    def setup(self):
        with open(self.path, "rb") as file:
            rows = [sum(line) / len(line) for line in file]
        values_RI = torch.tensor(rows)[:, None]
        ends = {"train": (0, 30), "valid": (30, 40), "test": (40, len(rows))}
        self.parts = {
            split: [(values_RI[row : row + 3], values_RI[row + 3 : row + 4]) for row in range(start, end - 3)]
            for split, (start, end) in ends.items()
        }
        mean, scale = (float(values_RI.mean()),), (float(values_RI.std()),)
        self.spec = seqkit.DataSpec(
            seqkit.Frames(("bytes",), mean, scale), seqkit.Series(1, ("bytes",), (0.0,), (1.0,))
        )
        self.fingerprint = sha256(repr(rows).encode()).hexdigest()
        self.facts = {"train": "30 lines"}

    def part(self, split):
        return self.parts[split]

    def collate(self, samples):
        inputs, targets = zip(*samples, strict=True)
        return seqkit.Batch(torch.stack(inputs), targets=torch.stack(targets))

    def order(self, split, batch_size, seed, epoch):
        size = len(self.parts[split])
        return (
            seqkit.shuffled(size, batch_size, seed, epoch) if split == "train" else seqkit.sequential(size, batch_size)
        )
