import io
import json

import polars as pl
import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.inference.answers_file import write_answers
from seqkit.inference.predict import predict_batch, predict_each
from seqkit.inference.sources import Sources
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.network import assemble
from seqkit.registry import load_built_in
from seqkit.tasks.classify.spec import Classes

SPEC = DataSpec(Tokens(Characters(tuple("abc"))), Classes(("high", "low"), (1, 1)))


@pytest.fixture
def network():
    load_built_in()
    torch.manual_seed(0)
    config = {"frontend": None, "model": {"name": "gru", "hidden_size": 6, "bidirectional": True}, "head": None}
    return assemble(config, SPEC).eval()


def ids(*given, **options):
    return [source.id for source in Sources(SPEC, given, **options)]


def test_a_folder_is_all_its_files_of_the_kind(tmp_path):
    for name in ("b.txt", "a/c.TXT", "a/d.wav", ".hidden/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("abc")
    sources = Sources(SPEC, [str(tmp_path)])
    assert [source.id for source in sources] == [str(tmp_path / "a/c.TXT"), str(tmp_path / "b.txt")]
    assert sources.left_out() == 1
    assert sources.count() == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no file in it that ends in .txt"):
        ids(str(tmp_path / "empty"))


@pytest.mark.parametrize(("name", "content"), [
    ("t.csv", "nr,text\n7,abc\n8,cab\n"), ("t.tsv", "nr\ttext\n7\tabc\n8\tcab\n"),
    ("t.jsonl", '{"nr": 7, "text": "abc"}\n{"nr": 8, "text": "cab"}\n'),
])  # fmt: skip
def test_a_table_is_its_rows(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert ids(path, column="text") == ["1", "2"]
    assert ids(path, column="text", id="nr") == ["7", "8"]
    texts = [source.read().tolist() for source in Sources(SPEC, [path], "text")]
    assert texts == [SPEC.inputs.tokenizer.encode(text).tolist() for text in ("abc", "cab")]
    with pytest.raises(
        ConfigError, match="reads .txt files; if it has a column of texts, say --column COLUMN. Columns: nr"
    ):
        ids(str(path))


def test_a_table_is_no_recording(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="t.csv: is a table, and this run reads .wav and .flac files; if it has a column "
                       "of paths of recordings, say --column COLUMN. Columns: a, b"):  # fmt: skip
        list(Sources(DataSpec(Waveform(8000), Classes(("x", "y"), (1, 1))), [str(tmp_path / "t.csv")]))


@pytest.mark.parametrize("text", ["abc" * 5000, "abc is in a.csv", "a\nb"])
def test_a_text_is_itself(text):
    assert ids(text) == [text]


def test_standard_input_is_its_lines(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("abc\n\ncab\n"))
    sources = list(Sources(SPEC, ["-"]))
    assert [source.id for source in sources] == ["1", "3"]
    assert [len(source.read()) for source in sources] == [3, 3]


def test_a_line_of_standard_input_that_is_no_text_is_refused_when_it_is_its_turn(monkeypatch):
    bad = b"\xef\xbb\xbfabc\r\nca\xe9\nab\0c\ncab\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bad), encoding="ascii"))
    first, second, third, fourth = Sources(SPEC, ["-"])
    assert [len(source.read()) for source in (first, fourth)] == [3, 3]
    with pytest.raises(DataError, match=r"^standard input, line 2: is not UTF-8$"):
        second.read()
    with pytest.raises(DataError, match=r"^standard input, line 3: holds NUL bytes, so it is no text$"):
        third.read()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n\n")))
    with pytest.raises(DataError, match=r"^standard input: no line to predict for$"):
        list(Sources(SPEC, ["-"]))


def test_a_file_of_many_sequences(tmp_path):
    spec = DataSpec(Frames(("x",), (0.0,), (1.0,), series="id"), SPEC.task)
    path = tmp_path / "t.csv"
    path.write_text("id,x\nu,1\nu,2\nv,3\nv,4\nv,5\n")
    assert [(one.id, one.read()[:, 0].tolist()) for one in Sources(spec, [path])] == [("u", [1, 2]), ("v", [3, 4, 5])]


def test_columns_are_refused_where_there_are_none(tmp_path):
    with pytest.raises(ConfigError, match="--id nr names the rows of a table; say --column"):
        ids("abc", id="nr")
    with pytest.raises(ConfigError, match="--column x: this run reads whole files"):
        Sources(DataSpec(Frames(("x",), (0.0,), (1.0,)), SPEC.task), ["t.csv"], "x")
    (tmp_path / "t.csv").write_text("text\n")
    with pytest.raises(DataError, match="no column 'txt'. Did you mean 'text'"):
        ids(tmp_path / "t.csv", column="txt")


TEXTS = ["a", "abcabcabc", "cab", "bb", "abca", "c" * 30]


def test_answers_do_not_depend_on_batches_or_order(network):
    alone = {text: predict_batch(network, SPEC, [SPEC.inputs.tokenizer.encode(text)])[0] for text in TEXTS}
    for size in (1, 2, 64):
        found = list(predict_each(network, SPEC, Sources(SPEC, TEXTS), size))
        assert [id for id, _ in found] == TEXTS
        for text, answer in found:
            assert answer["label"] == alone[text]["label"]
            assert answer["probabilities"] == pytest.approx(alone[text]["probabilities"], abs=1e-6)


def test_no_more_is_read_ahead_than_a_few_batches(network, monkeypatch):
    monkeypatch.setattr("seqkit.inference.predict.WINDOW", 2)
    read = []

    def sources():
        for source in Sources(SPEC, TEXTS):
            read.append(source.id)
            yield source

    next(predict_each(network, SPEC, sources(), 1))
    assert read == TEXTS[:2]


def test_broken_inputs_end_it_or_are_left_out(network, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text\nabc\nxyz\ncab\n")
    sources = Sources(SPEC, [path], "text")
    with pytest.raises(DataError, match=f"{path}, line 3: "):
        list(predict_each(network, SPEC, sources))
    left = {}
    found = [
        id for id, _ in predict_each(network, SPEC, sources, skipped=lambda id, error: left.update({id: str(error)}))
    ]
    assert found == ["1", "3"]
    assert list(left) == ["2"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_answers_are_written_with_the_probability_of_each_class(network, tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    assert write_answers(predict_each(network, SPEC, Sources(SPEC, TEXTS), 2), SPEC, path) == len(TEXTS)
    if ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = (pl.read_csv if ending == "csv" else pl.read_parquet)(path).to_dicts()
    assert [row["id"] for row in rows] == TEXTS
    for row in rows:
        assert list(row) == ["id", "label", "probability", "p_high", "p_low"]
        assert row["p_high"] + row["p_low"] == pytest.approx(1, abs=1e-5)
        assert row["probability"] == row[f"p_{row['label']}"] == max(row["p_high"], row["p_low"])
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_where_an_input_is_refused(network, tmp_path):
    (tmp_path / "t.csv").write_text("text\nabc\nxyz\n")
    with pytest.raises(DataError):
        write_answers(
            predict_each(network, SPEC, Sources(SPEC, [tmp_path / "t.csv"], "text")), SPEC, tmp_path / "o.csv"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    with pytest.raises(ConfigError, match="expected a name that ends in .csv, .jsonl or .parquet"):
        write_answers([], SPEC, tmp_path / "out.txt")
