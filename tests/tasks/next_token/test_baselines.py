import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.data.text import TextFiles
from seqkit.tasks.next_token.baselines import baselines


def test_ngrams_have_the_metrics_names_and_read_plain_samples_as_well(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("the cat sat on the mat\n" * 30)
    data = TextFiles(path=str(place), seq_len=8, eval_streams=2)
    data.setup()
    found = baselines(data.spec.inputs.tokenizer, data, "test")
    assert list(found) == ["1-gram", "2-gram", "3-gram", "4-gram", "5-gram"]
    assert set(found["3-gram"]) == {"loss", "perplexity", "bits_per_character", "bits_per_byte"}
    assert found["3-gram"]["bits_per_character"] == pytest.approx(found["3-gram"]["loss"] / math.log(2))
    assert found["3-gram"]["perplexity"] == pytest.approx(math.exp(found["3-gram"]["loss"]))
    assert baselines(data.spec.inputs.tokenizer, Foreign(data), "test") == found


class Foreign:
    """Somebody else's data: a list of samples."""

    def __init__(self, data):
        self.data = data

    def part(self, split):
        part = self.data.part(split)
        return [part[i] for i in range(len(part))]

    def collate(self, samples):
        batch = self.data.collate(samples)
        steps = batch.inputs.shape[1]
        filler = torch.zeros(1, 3, dtype=torch.long)  # padding that must not be counted
        return Batch(torch.cat([batch.inputs, filler], 1), torch.tensor([steps]), torch.cat([batch.targets, filler], 1))


def test_words_are_scored_per_character_too(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("the cat sat on the mat\n" * 30)
    data = TextFiles(path=str(place), seq_len=4, tokenizer="word")
    data.setup()
    ids = data.part("valid").tokens[1:]
    text = data.spec.inputs.tokenizer.decode(ids.tolist())
    scores = baselines(data.spec.inputs.tokenizer, data, "valid")["2-gram"]
    # The text of whole words and line ends; the space after a last word that no line end follows counts too.
    characters = len(text) + (not text.endswith("\n"))
    assert scores["bits_per_character"] == pytest.approx(scores["loss"] * len(ids) / math.log(2) / characters)
