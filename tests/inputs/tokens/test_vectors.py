from pathlib import Path

import pytest
import torch
from torch import nn

from seqkit.__main__ import run
from seqkit.data.sea_temperature import SAMPLE
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.tokens.vectors import use_vectors

WORDS = ("<unk>", "cat", "Dog", "zebra")
LINES = "the 9 9 9\ncat 1 2 3\ndog 4 5 6\nat name@x . 7 7 7\ncat 8 8 8\n"


def used(folder, content, size=3):
    path = folder / "vectors.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    torch.manual_seed(0)
    embedding = nn.Embedding(len(WORDS), size)
    return embedding.weight, use_vectors(str(path), embedding, WORDS)


@pytest.mark.parametrize("head", ["", "5 3\n"])
def test_words_get_their_vectors_the_others_a_start_of_that_spread(tmp_path, head):
    weight, fact = used(tmp_path, head + LINES)
    assert weight[1].tolist() == [1, 2, 3]  # the first one counts
    assert weight[2].tolist() == [4, 5, 6]  # by its lower case
    assert weight[0].abs().max() < 6
    assert fact == f"{tmp_path}/vectors.txt has 2 of 4 words"


def test_a_training_starts_from_them_and_its_checkpoint_needs_no_file(capsys):
    place = Path("vectors.txt")
    place.write_text("paris 1 2 3\nlugano 4 5 6\n")
    words = ["train", "experiment=tag", f"data.path={SAMPLE.with_name('tagged.conll')}", "frontend.size=3", "id=x",
             f"frontend.vectors={place}", "model.hidden_size=4", "optimizer.lr=1e-9"]  # fmt: skip
    assert run([*words, "trainer.max_steps=1"]) == 0
    assert "frontend: vectors.txt has 2 of " in capsys.readouterr().err
    place.unlink()
    from seqkit import load

    trained = load("runs/tag/x")
    row = trained.spec.inputs.vocabulary.index("paris")
    assert trained.network.frontend.embedding.weight[row].tolist() == pytest.approx([1, 2, 3], abs=1e-4)
    assert run([*words, "trainer.max_steps=2"]) == 0  # goes on from the checkpoint


BAD = {
    "other size": ("the 9 9 9\ncat 1 2 3\n", 2, "line 1: a word and 3 numbers; set frontend.size=3"),
    "too few": ("the 9 9 9\ncat 1 2\n", 3, "line 2: a word and 2 numbers, expected 3 as frontend.size says"),
    "word2vec of another size": ("5 300\nthe 9 9 9\n", 3, "line 1: vectors of 300 numbers; set frontend.size=300"),
    "no number": ("the 9 9 9\nx 1 1 1\ncat 1 b 3\n", 3, "line 3: 'cat' with what are not 3 numbers"),
    "not finite": ("the 9 9 9\nx 1 1 1\ncat 1 nan 3\n", 3, "line 3: a number that is not finite"),
    "binary": (b"the 9 9 9\n\xff\xfe 1 2 3\n", 3, "line 2: is not UTF-8"),
    "none of the words": (
        "the 9 9 9\n",
        3,
        "none of the 4 words of the vocabulary is in it; is it of another language?",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_by_line(tmp_path, name):
    content, size, said = BAD[name]
    with pytest.raises((ConfigError, DataError)) as caught:
        used(tmp_path, content, size)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
