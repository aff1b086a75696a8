import json
from dataclasses import replace

import pytest

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.inference.predict import predict, predict_each
from seqkit.inference.sources import Sources
from seqkit.inputs.words.spec import Sentences
from seqkit.network import assemble
from seqkit.registry import load_built_in
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.tasks.tag.spec import Tags

KIND = replace(Sentences.fit("lower_word", ["Anna", "sees", "Rome", "."], None), width=3)
SPEC = DataSpec(KIND, Tags(("O", "B-LOC")))
GIVEN = [("Zoë", "saw", "Kyoto", "."), ("Anna", "left", ".")]

NER = "-DOCSTART- -X- O\n\nZoë NN O\nsaw VB O\nKyoto NN B-LOC\n. . O\n\nAnna NN O\nleft VB O\n. . O\n"
CONLLU = "# text = Zoë saw Kyoto.\n" + "".join(
    f"{number}\t{word}\t_\tX\t_\t_\t_\t_\t_\t_\n" for number, word in enumerate(GIVEN[0], 1)
)
CONLLU += "\n" + "".join(f"{number}\t{word}\t_\tX\t_\t_\t_\t_\t_\t_\n" for number, word in enumerate(GIVEN[1], 1))


@pytest.fixture
def network():
    load_built_in()
    config = {"frontend": None, "model": {"name": "gru", "hidden_size": 4, "bidirectional": True}, "head": None}
    return assemble(config, SPEC).eval()


@pytest.mark.parametrize(("name", "content", "lines"), [
    ("ner.conll", NER, (3, 8)), ("train.txt", NER, (3, 8)), ("ud.conllu", CONLLU, (2, 7)),
    ("prose.txt", "Zoë saw Kyoto.\n\n\nAnna left.", (1, 4)), ("bare.txt", "Zoë\nsaw\nKyoto\n.\n\nAnna\nleft\n.\n", (1, 6)),
])  # fmt: skip
def test_a_file_is_read_as_columns_or_as_text_and_each_sentence_is_named_by_its_line(tmp_path, name, content, lines):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert KIND.sentences(str(path)) == [(f"{path}:{line}", words) for line, words in zip(lines, GIVEN, strict=True)]


@pytest.mark.parametrize(("content", "columns"), [
    ("Anna left Rome\nZoë saw Kyoto\n", False), ("Anna left Rome", False), ("Anna left .\n\nZoë saw Kyoto .\n", False),
    ("Anna NN O\nleft VB O\n\nZoë NN O\n", True), ("Anna NN\nleft VB\n\nZoë NN\n", True), ("Anna\tO\nleft\tO", True),
])  # fmt: skip
def test_a_text_of_as_many_words_a_line_as_there_are_columns_is_no_columns(tmp_path, caplog, content, columns):
    (tmp_path / "t.txt").write_text(content, encoding="utf-8")
    words = [words for _, words in KIND.sentences(tmp_path / "t.txt")]
    assert words[0] == (("Anna", "left") if columns else tuple(content.splitlines()[0].split()))
    differ = len({len(line.split()) for line in content.splitlines() if line}) > 1
    assert ("t.txt: read as " in caplog.text) != differ


def test_other_endings_are_columns_in_any_case_and_files_may_be_utf_8_whatever_was_trained_on(tmp_path):
    kind = replace(KIND, encoding="latin-1")
    for name in ("a.CONLL", "a.tsv"):
        (tmp_path / name).write_text("Zoë\tO\nsaw\tO\n", encoding="utf-8")
        assert kind.sentences(tmp_path / name) == [(str(tmp_path / name), ("Zoë", "saw"))]
        [source] = Sources(DataSpec(kind, SPEC.task), [str(tmp_path / name)])
        assert source.words == ("Zoë", "saw")
    (tmp_path / "b.CONLLU").write_text(CONLLU, encoding="utf-8")
    assert [words for _, words in kind.sentences(tmp_path / "b.CONLLU")] == GIVEN


def test_an_answer_has_the_words_as_they_stand_there_also_those_never_seen(network, tmp_path, monkeypatch):
    (tmp_path / "ner.conll").write_text(NER, encoding="utf-8")
    (tmp_path / "t.csv").write_text("text\nZoë saw Kyoto.\nAnna left.\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", ["Zoë saw Kyoto.\n", "Anna left.\n"])
    for sources in (
        Sources(SPEC, [str(tmp_path / "ner.conll")]),
        Sources(SPEC, [str(tmp_path / "t.csv")], column="text"),
        Sources(SPEC, ["-"]),
        Sources(SPEC, ["Zoë saw Kyoto.", "Anna left."]),
    ):
        answers = [answer for _, answer in predict_each(network, SPEC, sources)]
        assert [tuple(answer["words"]) for answer in answers] == GIVEN
        assert [len(answer["tags"]) for answer in answers] == [4, 3]
    assert predict(network, SPEC, ["Zoë saw Kyoto.", GIVEN[1]]) == answers


def test_what_is_refused(network, tmp_path):
    path = tmp_path / "ner.conll"
    path.write_text(NER, encoding="latin-1")
    with pytest.raises(DataError, match=r"ner.conll, line 3 \(byte 20\)"):
        KIND.sentences(path)
    path.write_text(NER, encoding="utf-8")
    with pytest.raises(DataError, match="ner.conll: holds 2 sentences; `seqkit predict`"):
        predict(network, SPEC, path)
    with pytest.raises(DataError, match="'': no text to predict from"):
        KIND.sentences("")
    with pytest.raises(ConfigError, match="data.word_column=FORM: only .conllu files name their columns"):
        Sentences(KIND.tokenizer, KIND.characters, column="FORM").sentences(path)
    with pytest.raises(DataError, match="none.conll: no such file"):
        KIND.sentences("none.conll")
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(DataError, match="blank.txt: no text to predict from"):
        KIND.sentences(tmp_path / "blank.txt")


def test_column_and_encoding_are_those_of_the_training(tmp_path):
    path = tmp_path / "t.conll"
    path.write_text("1 Zoë O\n2 saw O\n", encoding="latin-1")
    kind = Sentences(KIND.tokenizer, KIND.characters, column=2, width=3, encoding="latin-1")
    again = spec_from_json(json.loads(json.dumps(spec_to_json(DataSpec(kind, SPEC.task))))).inputs
    assert (again, again.column, again.encoding) == (kind, 2, "latin-1")
    assert again == KIND  # the same words, however files are read
    assert again.sentences(path) == [(str(path), ("Zoë", "saw"))]
