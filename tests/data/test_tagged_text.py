import pytest
import torch

from seqkit.data.tagged_text import TaggedText
from seqkit.errors import ConfigError, DataError

CONLLU = """# text = don't go
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
2.1\tever\tever\tADV\tRB\t_\t_\t_\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_

"""
COLUMNS = "-DOCSTART- -X- O\n\n# NN O\nRome NNP B-LOC\nwins VBZ O\n\nParis NNP B-LOC\n. . O\n"


def write(folder, name, content):
    (folder / name).write_text(content)
    return str(folder / name)


def ready(**options):
    data = TaggedText(**options)
    data.setup()
    return data


def refusal(kind, **options):
    with pytest.raises(kind) as caught:
        ready(**options)
    return str(caught.value)


def pairs(data, split):
    inputs, names, part = data.spec.inputs, data.spec.task.names, data.part(split)
    return [
        [(inputs.vocabulary[row[0]], names[tag]) for row, tag in zip(words.tolist(), tags.tolist(), strict=True)]
        for words, tags in (part[index] for index in range(len(part)))
    ]


def parts(folder, content, suffix):
    """Return three files with sentences of their own."""
    return {
        name: write(folder, f"{name}{suffix}", content.replace("go", f"go{name}").replace("wins", f"wins{name}"))
        for name in ("train", "valid", "test")
    }


def test_conllu_without_ranges_and_empty_nodes(tmp_path):
    data = ready(**parts(tmp_path, CONLLU, ".conllu"))
    assert pairs(data, "train") == [[("do", "AUX"), ("n't", "PART"), ("gotrain", "VERB")]]
    assert pairs(data, "test") == [[("do", "AUX"), ("n't", "PART"), ("<unk>", "VERB")]]
    assert data.facts["test"] == "1 sentences, 3 words, 1 of them not in the vocabulary"
    by_name = ready(**parts(tmp_path, CONLLU, ".conllu"), word_column="LEMMA", tag_column="XPOS")
    assert pairs(by_name, "train") == [[("do", "VBP"), ("not", "RB"), ("gotrain", "VB")]]
    by_number = ready(**parts(tmp_path, CONLLU, ".conllu"), word_column=3, tag_column=5)
    assert by_number.fingerprint == by_name.fingerprint


def test_columns_by_spaces_the_last_is_the_tag(tmp_path):
    data = ready(**parts(tmp_path, COLUMNS, ".txt"))
    assert pairs(data, "train") == [
        [("#", "O"), ("rome", "B-LOC"), ("winstrain", "O")],
        [("paris", "B-LOC"), (".", "O")],
    ]
    assert pairs(ready(**parts(tmp_path, COLUMNS, ".txt"), tag_column=2), "train")[1] == [("paris", "NNP"), (".", ".")]


def test_one_file_is_divided(tmp_path):
    content = "".join(f"w{number} A\nx B\n\n" for number in range(20))
    data = ready(path=write(tmp_path, "t.conll", content), valid_fraction=0.2, test_fraction=0.2)
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [12, 4, 4]
    assert data.facts["split"] == "drawn from all sentences, data.seed=0: valid 0.2 and test 0.2"


def test_a_batch_has_a_tag_per_word(tmp_path):
    data = ready(**parts(tmp_path, COLUMNS, ".txt"))
    part = data.part("train")
    batch = data.collate([part[0], part[1]])
    assert batch.inputs.shape == (2, 3, 1 + data.spec.inputs.length)
    assert batch.lengths.tolist() == [3, 2]
    assert batch.targets.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert torch.equal(data.spec.inputs.read(("#", "Rome", "winstrain")), part[0][0])


def test_a_tag_that_is_of_no_span_is_said_with_its_line(tmp_path, caplog):
    spans = "Rome B-LOC\nwins O\n\n" * 10
    ready(path=write(tmp_path, "t.conll", spans))
    assert not caplog.messages
    path = write(tmp_path, "u.conll", spans + "I O\nsaw O\nTurin LOC\n\n")
    ready(path=path, valid_fraction=0.05, test_fraction=0.05, seed=1)
    assert caplog.messages == [
        f"{path}, line 33: tag 'LOC' is neither O nor of a span, as 'B-LOC' is; so no span is scored, but tags alone"
    ]


BAD = {
    "one column": ("Rome\nwins\n\n", {}, "t.txt, line 1: one column, 'Rome'. Expected a word and its tag"),
    "a missing column": ("Rome NNP B\nwins VB\n\n", {"tag_column": 3}, "t.txt, line 2: 2 columns, so there is no data.tag_column=3"),
    "column 0": ("Rome B\n\n", {"tag_column": 0}, "t.txt, line 1: columns are counted from 1"),
    "a name": ("Rome B\n\n", {"tag_column": "tag"}, "only .conllu files name their columns; give a number, from 1"),
    "an empty tag": ("Rome\tB\nwins\t\n\n", {}, "t.txt, line 2: no tag in column -1"),
    "nothing": ("\n\n", {}, "t.txt: holds no sentence"),
    "no empty lines": ("a A\n" * 5001, {}, "t.txt, line 5001: a sentence of more than 5,000 words; are empty lines between"),
    "one tag": ("a A\n\n" * 20, {}, "all words have the tag 'A'; at least two are needed"),
    "one sentence": ("a A\nb B\n", {}, "1 sentences (are there empty lines between them?) are too few to draw a valid part"),
    "two places": ("a A\n\n", {"train": "t.txt"}, "takes data.path or data.train"),
    "a tokenizer of no words": ("a A\n\n", {"tokenizer": "char"}, "data.tokenizer=char: its tokens are no words"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line_with_the_place(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, options, said = BAD[name]
    write(tmp_path, "t.txt", content)
    message = refusal((ConfigError, DataError), path="t.txt", **options)
    assert said in message
    assert "\n" not in message


def test_a_tag_of_the_test_part_alone_is_refused_by_line(tmp_path):
    own = parts(tmp_path, COLUMNS, ".txt")
    write(tmp_path, "test.txt", "Rome NNP B-LOC\nLuigi NNP B-PER\n")
    assert refusal(DataError, **own) == (
        f"{tmp_path}/test.txt, line 2: tag 'B-PER' of the test part is on no training word. "
        "Move the sentence to the training part, or leave it out"
    )


def test_a_missing_annotation_of_conllu_is_refused(tmp_path):
    own = parts(tmp_path, CONLLU.replace("AUX", "_"), ".conllu")
    assert refusal(DataError, **own) == f"{tmp_path}/train.conllu, line 3: no tag in column UPOS"
    assert refusal(ConfigError, **own, tag_column="UPO").startswith(
        "data.tag_column=UPO: no such column. Did you mean 'UPOS'?"
    )
