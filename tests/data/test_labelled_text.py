import json

import pytest
import torch

from seqkit.data.labelled_text import LabelledText
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.words.spec import SpelledWords


def write(folder, name, content, encoding="utf-8"):
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode(encoding))
    return str(place)


def ready(**options):
    data = LabelledText(**options)
    data.setup()
    return data


def refusal(kind, **options):
    with pytest.raises(kind) as caught:
        ready(**options)
    return str(caught.value)


def texts(data, split):
    vocabulary = data.spec.inputs.vocabulary
    part = data.part(split)
    names = data.spec.task.names
    return [
        (" ".join(vocabulary[i] for i in ids.tolist()), names[int(label)])
        for ids, label in (part[i] for i in range(len(part)))
    ]


ROWS = [("Who is X?", "hum"), ("Who was Y?", "hum"), ("Where is Z?", "loc"), ("Where was Z?", "loc")]
SPLIT = ["train", "validation", "train", "test"]


def table(mark):
    rows = [mark.join((f'"{text}"', label, split)) for (text, label), split in zip(ROWS, SPLIT, strict=True)]
    return "\n".join([mark.join(("text", "label", "split")), *rows]) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", table(",")),
        ("t.csv", table(";")),
        ("t.tsv", table("\t")),
        ("t.jsonl", "".join(json.dumps({"text": t, "label": b, "split": s}) + "\n"
                            for (t, b), s in zip(ROWS, SPLIT, strict=True))),
    ],
)  # fmt: skip
def test_every_format_reads_the_same(tmp_path, name, content):
    data = ready(path=write(tmp_path, name, content))
    assert data.spec.task.names == ("hum", "loc")
    assert data.spec.task.counts == (1, 1)
    assert data.spec.inputs.vocabulary == ("<unk>", "is", "?", "who", "x", "where", "z")
    assert texts(data, "train") == [("who is x ?", "hum"), ("where is z ?", "loc")]
    assert texts(data, "valid") == [("who <unk> <unk> ?", "hum")]
    assert texts(data, "test") == [("where <unk> z ?", "loc")]
    assert data.facts["split"] == "as given"
    assert data.facts["valid"] == "1 texts, 4 tokens, 2 of them not in the vocabulary"


def test_columns_by_name_and_an_encoding(tmp_path):
    rows = "frage,art\nWo ist Köln?,loc\nWer ist Jörg?,hum\n"
    train = write(tmp_path, "train.csv", rows + "Wo ist Rom?,loc\nWer ist Max?,hum\n", "latin-1")
    test = write(tmp_path, "test.csv", rows.replace("ist", "war"), "latin-1")
    own = {"train": train, "test": test, "text_column": "frage", "label_column": "art", "valid_fraction": 0.5}
    data = ready(**own, encoding="latin-1")
    assert len(data.part("train")) == len(data.part("valid")) == 2
    assert len(data.part("test")) == 2
    assert data.facts["split"] == (
        "train and test as given; drawn from the training part, data.seed=0: valid 0.5 of each class"
    )
    assert refusal(DataError, **own) == (
        f"{train}, line 2: is not utf-8. Give its encoding, as data.encoding=cp1252 (Windows) or latin-1, or save it as UTF-8"
    )


def test_a_folder_per_class(tmp_path):
    for name in ("neg", "pos"):
        for number in range(4):
            write(tmp_path, f"films/{name}/{number}.txt", f"a {name} film\nnumber {number}")
    data = ready(path=str(tmp_path / "films"), valid_fraction=0.25, test_fraction=0.25)
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [4, 2, 2]
    assert all(label in text for text, label in texts(data, "train"))


def test_long_texts_are_cut_as_predict_cuts_them(tmp_path):
    path = write(tmp_path, "t.csv", table(","))
    data = ready(path=path, max_tokens=3)
    assert texts(data, "train") == [("who is x", "hum"), ("where is z", "loc")]
    assert data.facts["cut"] == "4 of 4 texts to data.max_tokens=3"
    assert torch.equal(data.spec.inputs.read("Who is X?"), data.part("train")[0][0])
    spelled = ready(path=path, max_tokens=3, characters=True)
    assert isinstance(spelled.spec.inputs, SpelledWords)
    assert torch.equal(spelled.spec.inputs.read("Who is X?"), spelled.part("train")[0][0])


def test_tokenizers(tmp_path):
    path = write(tmp_path, "t.csv", table(","))
    assert "W" in ready(path=path, tokenizer="char").spec.inputs.vocabulary
    assert isinstance(ready(path=path, tokenizer="byte").spec.inputs, Tokens)
    assert refusal(ConfigError, path=path, tokenizer="char", characters=True) == (
        "data.characters=true reads the characters of words, and data.tokenizer=char makes none; add "
        "data.characters=false frontend=embedding, or take data.tokenizer=lower_word"
    )


def test_other_order_or_label_is_another_fingerprint(tmp_path):
    first = ready(path=write(tmp_path, "a.csv", table(","))).fingerprint
    assert ready(path=write(tmp_path, "b.csv", table(",").replace("Z", "V"))).fingerprint != first
    assert ready(path=write(tmp_path, "c.csv", table(";"))).fingerprint == first


BAD = {
    "broken JSON": ("t.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', {}, "t.jsonl, line 2: is not JSON"),
    "a list of labels": ("t.jsonl", '{"text": "a", "label": ["x", "y"]}\n', {}, "t.jsonl, line 1: several labels"),
    "no JSON object": ("t.jsonl", '{"text": "a", "label": "x"}\n[1]\n', {}, "t.jsonl, line 2: holds [1]"),
    "no such column": ("t.csv", "txt,label\na,b\n", {}, "t.csv: no column 'text'. Did you mean 'txt'? Columns: txt, label"),
    "no label": ("t.csv", "text,label\na,x\nb,\n", {}, "t.csv, line 3: no value for 'label'"),
    "no text": ("t.csv", 'text,label\na,x\n" ",y\n', {}, "t.csv, line 3: no value for 'text'"),
    "an open quote": ("t.csv", 'text,label\na,x\n"b,y\nc,x\n', {}, "t.csv, line 3: a quote that opens here is never closed"),
    "too many cells": ("t.csv", "text,label\na,x\nb, c,y\n", {}, "t.csv, line 3: 3 values, expected 2"),
    "one class": ("t.csv", "text,label\n" + "a,x\n" * 9, {}, "t.csv: all texts are of one class, 'x'"),
    "a label per text": ("t.csv", "text,label\n" + "".join(f"{n},{n}\n" for n in range(99)), {}, "is data.label_column the right column?"),
    "another split": ("t.csv", "text,label,split\na,x,train\nb,x,tset\n", {}, "t.csv, line 3: split 'tset' is not known. Did you mean 'test'?"),
    "no training part": ("t.csv", "text,label,split\na,x,test\nb,y,test\n", {}, "column 'split' has no row with 'train'"),
    "a class of test only": ("t.csv", "text,label,split\na,x,train\nb,y,train\nc,z,test\nd,x,valid\n", {}, "t.csv, line 4: label 'z' of the test part is on no training text"),
    "an unknown encoding": ("t.csv", table(","), {"encoding": "latin-11"}, "data.encoding=latin-11: no such encoding"),
    "UTF-16": ("t.csv", table(","), {"encoding": "utf-16"}, "data.encoding=utf-16: save the file as UTF-8"),
    "too few": ("t.csv", "text,label\na,x\nb,y\n", {}, "2 texts are too few to draw a valid part"),
    "both places": ("t.csv", table(","), {"train": "t.csv"}, "takes data.path or data.train"),
    "fractions": ("t.csv", table(","), {"valid_fraction": 0.6, "test_fraction": 0.4}, "leave nothing to train on"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line_with_the_place(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file, content, options, said = BAD[name]
    write(tmp_path, file, content)
    message = refusal((ConfigError, DataError), path=file, **options)
    assert said in message
    assert "\n" not in message


def test_folders_are_refused_by_name(tmp_path):
    write(tmp_path, "films/train/pos/0.txt", "a")
    write(tmp_path, "films/test/pos/0.txt", "a")
    assert refusal(DataError, path=str(tmp_path / "films")).startswith(f"{tmp_path}/films: has folders test, train; ")
    write(tmp_path, "empty/pos/0.txt", " \n")
    assert refusal(DataError, path=str(tmp_path / "empty")) == f"{tmp_path}/empty/pos/0.txt: is empty. Expected a text"
    (tmp_path / "empty" / "neg").mkdir()
    assert refusal(DataError, path=str(tmp_path / "empty")) == (
        f"{tmp_path}/empty/neg: no *.txt file in it; each sub-folder is a class and needs some"
    )
    write(tmp_path, "latin/a/0.txt", "caf\xe9", "latin-1")
    assert refusal(DataError, path=str(tmp_path / "latin")).startswith(
        f"{tmp_path}/latin/a/0.txt, line 1 (byte 3): is not utf-8"
    )
