import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.words.spec import SpelledWords
from seqkit.registry import build
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.tag.prediction import TagPrediction
from seqkit.tasks.tag.spec import Tags

INPUTS = SpelledWords.fit("lower_word", ["the", "cat"], None)
SPEC = DataSpec(INPUTS, Tags(("B-X", "I-X", "O")))


def head(**options):
    torch.manual_seed(0)
    return build("head", {"name": "tag", **options}, 4, SPEC, False)


@pytest.mark.parametrize("crf", [False, True])
def test_an_untrained_loss_is_that_of_even_tags(crf):
    own = head(crf=crf)
    with torch.no_grad():
        own.output.weight.zero_()
        own.output.bias.zero_()
    batch = Batch(INPUTS.example(2, 3, torch.Generator()), torch.tensor([3, 1]), torch.tensor([[0, 1, 2], [2, 0, 0]]))
    loss, count = own.loss(own(torch.randn(2, 3, 4), batch.lengths, batch), batch.lengths, batch)
    assert int(count) == 4
    assert loss.item() == pytest.approx(4 * math.log(3), rel=1e-5)


def test_a_field_learns_that_no_span_begins_inside():
    own = head(crf=True)
    scores_BTC = torch.tensor([[[0.0, 0.1, 0.05], [0.0, 0.0, 1.0]]])
    with torch.no_grad():
        own.crf.first[1] = -10
    answer = own.task.answers(own.predict(scores_BTC, None, Batch(INPUTS.read("the cat")[None])), SPEC)[0]
    assert answer["tags"] == ["O", "O"]
    assert all(0 < value < 1 for value in answer["probabilities"])


def test_the_score_that_decides_is_f1_of_spans_or_accuracy():
    assert head().monitor == ("f1", "max")
    plain = DataSpec(INPUTS, Tags(("DET", "NOUN")))
    assert build("head", "tag", 4, plain, False).monitor == ("accuracy", "max")


def test_other_data_and_streams_of_a_field_are_refused():
    with pytest.raises(ConfigError, match=r"^head=tag needs tags, this data has Classes; use head=classify$"):
        build("head", "tag", 4, DataSpec(INPUTS, Classes(("a", "b"), (1, 1))), False)
    with pytest.raises(ConfigError, match=r"^stream: head.crf=true chooses the tags of a whole sequence together"):
        head(crf=True).stream(torch.randn(1, 2, 4), Batch(torch.zeros(1, 2)), None)
    with pytest.raises(ConfigError, match=r"^head=tag needs one step per tag, the frontend makes 2 of 3; "):
        head().loss(torch.zeros(1, 2, 3), None, Batch(torch.zeros(1, 3), None, torch.zeros(1, 3, dtype=torch.long)))


def test_answers_name_the_words():
    task, tags_BT = SPEC.task, torch.tensor([[2, 0]])
    answer = task.answers(TagPrediction(tags_BT, None, None, None, INPUTS.read("the cat")[None]), SPEC)[0]
    assert answer == {"words": ["the", "cat"], "tags": ["O", "B-X"]}
    assert task.text(answer) == "the/O cat/B-X"
    assert task.rows(answer)[1] == {"word": "cat", "tag": "B-X", "probability": None}
    assert task.text({"tags": ["O", "B-X"]}) == "O B-X"
