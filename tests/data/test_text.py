from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from seqkit.data import text as text_module
from seqkit.data.text import Chunks, PythonSource, TextFiles
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.registry import build, check
from seqkit.tasks.next_token.spec import NextToken

EXPECTED = "Expected a UTF-8 text file or a folder of *.txt files"


def write(folder, content, name="a.txt"):
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(place)


def ready(**options):
    data = TextFiles(**options)
    data.setup()
    return data


def three(folder, train, valid, test):
    parts = {"train": train, "valid": valid, "test": test}
    return {name: write(folder, content, f"{name}.txt") for name, content in parts.items()}


def words(data, split):
    return [data.spec.inputs.vocabulary[i] for i in data.part(split).tokens.tolist()]


def refusal(kind, **options):
    with pytest.raises(kind) as caught:
        ready(**options)
    return str(caught.value)


def batches(data, split, batch_size):
    part = data.part(split)
    return [data.collate([part[i] for i in indices]) for indices in data.order(split, batch_size, 0, 0)]


# --- what is read


def test_splits_at_fractions_of_the_characters(tmp_path):
    data = ready(path=write(tmp_path, "abcdefghij" * 10), split=[0.7, 0.2, 0.1], seq_len=5)
    assert "".join(words(data, "train")) == "abcdefghij" * 7
    assert "".join(words(data, "valid")) == "abcdefghij" * 2
    assert "".join(words(data, "test")) == "abcdefghij"
    assert data.spec.task == NextToken()
    assert isinstance(data.spec.inputs.tokenizer, Characters)


def test_the_default_split_puts_every_token_in_one_part(tmp_path):
    # 0.9 + 0.05 is a little above 0.95 in binary.
    for size in (100, 999, 1000, 1001):
        data = ready(path=write(tmp_path, "ab" * (size // 2) + "a" * (size % 2)), seq_len=1)
        sizes = [len(data.part(split).tokens) for split in ("train", "valid", "test")]
        assert sizes == [size * 90 // 100, size * 95 // 100 - size * 90 // 100, size - size * 95 // 100]


def test_vocabulary_comes_from_training_alone_and_the_rest_reads_as_unk(tmp_path):
    data = ready(**three(tmp_path, "aab aab", "abX", "aXY\U0001f600"), seq_len=2)
    assert data.spec.inputs.vocabulary == ("<unk>", "a", "b", " ")  # by falling frequency
    assert words(data, "test") == ["a", "<unk>", "<unk>", "<unk>"]
    assert data.facts["train"] == "7 characters"
    assert data.facts["valid"] == "3 characters, 1 of them not in the vocabulary"
    assert data.facts["test"] == "4 characters, 3 of them not in the vocabulary"
    assert data.facts["vocabulary"] == "4 with <unk>"


def test_words_end_each_line_with_eos_and_unk_in_the_text_is_the_one_unk(tmp_path):
    parts = three(tmp_path, "the cat <unk>\n\nthe end", "the dog\n", "<unk> cat\r\n")
    data = ready(**parts, tokenizer="word", seq_len=1)
    assert words(data, "train") == ["the", "cat", "<unk>", "<eos>", "<eos>", "the", "end", "<eos>"]
    assert data.spec.inputs.vocabulary == ("<unk>", "<eos>", "the", "cat", "end")
    assert words(data, "valid") == ["the", "<unk>", "<eos>"]
    assert words(data, "test") == ["<unk>", "cat", "<eos>"]
    assert data.facts["valid"] == "3 words, 1 of them not in the vocabulary"
    assert data.facts["test"] == "3 words"  # its <unk> is a word of the text


def test_a_vocabulary_smaller_than_asked_for_is_said(tmp_path):
    files = three(tmp_path, "a a a b b c c c c", "a b c d", "a b c")
    data = ready(**files, tokenizer="word", vocab_size=5000, seq_len=1)
    assert data.facts["vocabulary"] == "5 with <unk>, as the training part has no more: data.vocab_size=5000"
    assert ready(**files, tokenizer="word", vocab_size=5, seq_len=1).facts["vocabulary"] == "5 with <unk>"


def test_vocab_size_keeps_the_most_frequent(tmp_path):
    data = ready(**three(tmp_path, "a a a b b c c c c", "a b c d", "a b c"), tokenizer="word", vocab_size=3, seq_len=1)
    assert data.spec.inputs.vocabulary == ("<unk>", "c", "a")
    assert data.facts["train"] == "10 words, 3 of them not in the vocabulary"


def test_a_folder_is_read_in_the_order_of_names_below_it(tmp_path):
    write(tmp_path, "second", "train/b.txt")
    write(tmp_path, "first\n", "train/a/z.txt")
    write(tmp_path, "not this", "train/c.md")
    held = write(tmp_path, "first", "held.txt")
    data = ready(train=f"{tmp_path}/train", valid=held, test=held, seq_len=1)
    assert "".join(words(data, "train")) == "first\nsecond\n"


def test_a_byte_order_mark_is_no_character(tmp_path):
    data = ready(path=write(tmp_path, b"\xef\xbb\xbf" + b"ab" * 50), seq_len=2)
    assert set(data.spec.inputs.vocabulary) == {"<unk>", "a", "b"}


def test_fingerprint_is_of_the_content_and_its_parts(tmp_path):
    content = "abc" * 100
    path = write(tmp_path, content)
    assert ready(path=path, seq_len=2).fingerprint == sha256(content.encode()).hexdigest()
    one = ready(**three(tmp_path, "abc", "bca", "abcd"), seq_len=2).fingerprint
    other = ready(**three(tmp_path, "abc", "abcd", "bca"), seq_len=2).fingerprint
    assert one != other


def test_wikitext_2_has_its_published_sizes(shared):
    # 2,088,628 tokens with <eos> and a vocabulary of 33,278: Merity et al. 2016, table 1.
    folder = shared / "text" / "wikitext-2"
    data = ready(**{name: str(folder / f"wiki.{name}.tokens") for name in ("train", "valid", "test")}, tokenizer="word")
    assert [len(data.part(split).tokens) for split in ("train", "valid", "test")] == [2088628, 217646, 245569]
    assert len(data.spec.inputs.vocabulary) == 33278


# --- how it is cut


@pytest.mark.parametrize(("size", "seq_len", "eval_streams"), [(101, 10, 4), (100, 7, 5), (23, 22, 32), (57, 4, 3)])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_every_token_but_the_first_is_predicted_once_from_the_one_before(
    tmp_path, size, seq_len, eval_streams, batch_size
):
    symbols = "".join(chr(0x100 + i) for i in range(size))  # each its own, so that a pair is a place
    parts = three(tmp_path, symbols, symbols[::-1], symbols[::-1])
    data = ready(**parts, seq_len=seq_len, eval_streams=eval_streams, batch_size=batch_size)
    for split in ("train", "test"):
        tokens = data.part(split).tokens.tolist()
        seen = []
        for batch in batches(data, split, batch_size):
            for row in range(len(batch)):
                steps = batch.inputs.shape[1] if batch.lengths is None else int(batch.lengths[row])
                seen += zip(batch.inputs[row, :steps].tolist(), batch.targets[row, :steps].tolist(), strict=True)
        assert sorted(seen) == sorted(pairwise(tokens))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_a_row_that_is_not_fresh_continues_the_row_above_it(tmp_path, batch_size):
    symbols = "".join(chr(0x100 + i) for i in range(101))
    data = ready(**three(tmp_path, symbols, symbols[::-1], symbols[::-1]), seq_len=7, eval_streams=5, batch_size=4)
    starts, last = 0, None
    for batch in batches(data, "test", batch_size):
        for row in range(len(batch)):
            if batch.fresh_B[row]:
                starts += 1
            else:
                assert batch.inputs[row, 0] == last.targets[row, -1]  # only a stream's last chunk can be short
        last = batch
    assert starts == 5


def test_streams_do_not_depend_on_the_batch_size(tmp_path):
    symbols = "".join(chr(0x100 + i) for i in range(101))
    data = ready(**three(tmp_path, symbols, symbols[::-1], symbols[::-1]), seq_len=7, eval_streams=5, batch_size=4)
    starts = [
        sorted(int(b.inputs[row, 0]) for b in batches(data, "valid", size) for row in range(len(b)) if b.fresh_B[row])
        for size in (1, 2, 3, 8)
    ]
    assert starts[0] == starts[1] == starts[2] == starts[3]
    assert len(starts[0]) == 5


def test_training_has_as_many_streams_as_its_batch_and_the_same_order_in_every_epoch(tmp_path):
    data = ready(path=write(tmp_path, "abcdefghij" * 40), batch_size=4, seq_len=9, eval_streams=2)
    order = data.order("train", 4, seed=0, epoch=0)
    assert order == data.order("train", 4, seed=1, epoch=7)
    assert order[0] == [0, 10, 20, 30]
    assert batches(data, "train", 4)[0].fresh_B.tolist() == [True] * 4
    assert batches(data, "train", 4)[1].fresh_B.tolist() == [False] * 4


def test_collate_marks_the_short_last_chunk():
    part = Chunks(torch.arange(11), seq_len=4, count=3)
    batch = text_module.collate([part[0], part[1], part[2]])
    assert batch.inputs[:2].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batch.targets[:2].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert batch.inputs[2, :2].tolist() == [8, 9]
    assert batch.targets[2, :2].tolist() == [9, 10]
    assert batch.lengths.tolist() == [4, 4, 2]
    assert text_module.collate([part[0], part[1]]).lengths is None


# --- random lengths


@pytest.mark.parametrize(("size", "seq_len", "rows"), [(101, 10, 1), (1000, 7, 8), (24, 23, 3), (57, 1, 4), (9, 2, 16)])
def test_random_lengths_predict_every_token_once_in_every_pass(tmp_path, size, seq_len, rows):
    symbols = "".join(chr(0x100 + i) for i in range(size))  # each its own, so that a pair is a place
    held = symbols + symbols
    data = ready(**three(tmp_path, symbols, held, held[::-1]), seq_len=seq_len, batch_size=rows, random_seq_len=True)
    part, tokens = data.part("train"), data.part("train").tokens.tolist()
    steps = set()
    for epoch in range(3):
        order, seen, last = data.order("train", rows, 3, epoch), [], None
        steps.add(len(order))
        for batch in (data.collate([part[index] for index in indices]) for indices in order):
            lengths = [batch.inputs.shape[1]] * len(batch) if batch.lengths is None else batch.lengths.tolist()
            assert max(lengths) - min(lengths) <= 1
            for row, length in enumerate(lengths):
                seen += zip(batch.inputs[row, :length].tolist(), batch.targets[row, :length].tolist(), strict=True)
                assert batch.fresh_B[row] == (last is None)
                assert last is None or batch.inputs[row, 0] == last.targets[row, -1]
            last = batch
        assert sorted(seen) == sorted(pairwise(tokens))
        assert order[1:] == list(order)[1:]
    assert len(steps) == 1  # trainer.max_epochs means as many passes


def test_random_lengths_are_those_of_the_paper_a_function_of_seed_and_epoch(tmp_path):
    data = ready(path=write(tmp_path, "ab" * 200_000), batch_size=2, seq_len=70, random_seq_len=True)
    order = data.order("train", 2, 5, 0)
    assert order == data.order("train", 2, 5, 0)
    assert order != data.order("train", 2, 5, 1)
    assert order != data.order("train", 2, 6, 0)
    lengths = torch.tensor([len(batch[0]) for batch in order][:-1], dtype=torch.double)
    long = lengths[lengths > 52]
    assert len(long) / len(lengths) == pytest.approx(0.95, abs=0.02)
    assert float(long.mean()) == pytest.approx(70, abs=1)
    assert float(long.std()) == pytest.approx(5, abs=0.5)
    assert data.order("valid", 2, 5, 0) == data.order("valid", 2, 6, 1)  # scores are not drawn


# --- refusals


def test_refuses_what_does_not_say_which_text(tmp_path):
    path = write(tmp_path, "abc")
    assert refusal(ConfigError) == "data=text_files needs data.path=FILE.txt, or data.train, data.valid and data.test"
    assert refusal(ConfigError, path=path, test=path) == (
        "data=text_files takes data.path or data.train, data.valid and data.test, not both"
    )
    assert refusal(ConfigError, train=path) == (
        "data=text_files lacks data.valid and data.test; or give one data.path to be split"
    )
    assert refusal(ConfigError, train=path, valid=path, test=path, split=[0.8, 0.1, 0.1]) == (
        "data.split is for data.path; data.train, data.valid and data.test are taken whole"
    )


@pytest.mark.parametrize("split", [[0.9, 0.1], [0.9, 0.05, 0.1], [1.0, 0.0, 0.0], []])
def test_refuses_a_split_that_is_none(tmp_path, split):
    message = refusal(ConfigError, path=write(tmp_path, "abc"), split=split)
    assert message == f"data.split={split}: give three fractions above 0 that add up to 1, as [0.9,0.05,0.05]"


def test_paths_are_refused_before_anything_is_read(tmp_path):
    write(tmp_path, "abc", "notes.txt")
    with pytest.raises(DataError) as caught:
        TextFiles(path=f"{tmp_path}/note.txt")
    assert str(caught.value) == (f"{tmp_path}/note.txt: no such file or folder. Did you mean 'notes.txt'? {EXPECTED}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        TextFiles(path=f"{tmp_path}/empty")
    assert str(caught.value) == f"{tmp_path}/empty: no *.txt file in this folder. {EXPECTED}"


def test_refuses_files_that_are_no_text(tmp_path):
    latin = write(tmp_path, b"one\ntwo\ncaf\xe9\n" * 9)
    assert refusal(DataError, path=latin) == (
        f"{latin}: not UTF-8 at byte 11 (line 3); save it as UTF-8, or give its encoding, as data.encoding=cp1252 "
        "(Windows) or latin-1"
    )
    empty = write(tmp_path, "", "b.txt")
    assert refusal(DataError, path=empty) == f"{empty}: is empty. Expected UTF-8 text"


def test_refuses_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = write(tmp_path, "abc")

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert refusal(DataError, path=path) == f"{path}: cannot be read (Permission denied)"


def test_other_encodings_are_read_and_bad_bytes_replaced_if_asked(tmp_path):
    latin = write(tmp_path, ("déjà vu " * 40).encode("latin-1"), "latin.txt")
    assert "é" in ready(path=latin, seq_len=5, encoding="latin-1").spec.inputs.vocabulary
    replaced = ready(path=latin, seq_len=5, bad_bytes="replace")
    assert "\ufffd" in replaced.spec.inputs.vocabulary
    assert replaced.facts["replaced"] == "80 characters that are no utf-8, by U+FFFD"


def test_subwords_are_trained_on_the_training_part_and_scored_in_characters(tmp_path):
    parts = three(tmp_path, "the cat sat. " * 60, "the dog sat. " * 30, "the dog ran. " * 30)
    data = ready(**parts, tokenizer="bpe", vocab_size=300, seq_len=4)
    assert data.facts["train"].endswith(" subwords")
    tokenizer, tokens = data.spec.inputs.tokenizer, data.part("test").tokens
    assert " cat" in tokenizer.vocabulary
    assert " dog" not in tokenizer.vocabulary
    assert tokenizer.decode(tokens.tolist()) == "the dog ran. " * 30
    assert tokenizer.sizes()[tokens].sum(0).tolist() == [390, 390]


def test_refuses_a_part_without_one_chunk(tmp_path):
    path = write(tmp_path, "a" * 1000)
    assert refusal(DataError, path=path, seq_len=50) == (
        f"{path}: the valid part has 50 tokens, and one chunk of data.seq_len=50 needs 51; "
        "give more text or a smaller data.seq_len"
    )
    parts = three(tmp_path, "a" * 100, "a" * 99, "a")
    assert refusal(DataError, **parts, seq_len=50).startswith(f"{parts['test']}: the test part has 1 tokens")


def test_options_are_checked_in_one_line(tmp_path):
    path = write(tmp_path, "abc")
    with pytest.raises(
        ConfigError, match=r"^no tokenizer 'syllable'. Known: bpe, byte, char, lower_word, unigram, word;"
    ):
        build("data", {"name": "text_files", "path": path, "tokenizer": "syllable"})
    with pytest.raises(ConfigError, match=r"^data.vocab_size=1: input should be greater than or equal to 2$"):
        build("data", {"name": "text_files", "path": path, "vocab_size": 1})
    assert check("data", {"name": "python_source"}) == {
        "name": "python_source",
        "batch_size": 32,
        "seq_len": 64,
        "eval_streams": 32,
        "random_seq_len": False,
    }


# --- python_source


@pytest.fixture(scope="module")
def python_source():
    data = PythonSource()
    data.setup()
    return data


def test_python_source_is_this_pythons_library(python_source):
    sizes = [len(python_source.part(split).tokens) for split in ("train", "valid", "test")]
    whole = sum(sizes)
    assert sizes == [whole * 90 // 100, whole * 95 // 100 - whole * 90 // 100, whole - whole * 95 // 100]
    assert whole > 3_000_000
    vocabulary = python_source.spec.inputs
    train = vocabulary.tokenizer.decode(python_source.part("train").tokens.tolist())
    assert "def deepcopy(x, memo=None, _nil=[]):\n" in train  # copy.py stands early in the alphabet
    assert len(python_source.fingerprint) == 64


def test_python_without_sources_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_module.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(DataError) as caught:
        PythonSource()
    assert str(caught.value) == (
        f"{tmp_path}: this Python comes without the source of its library; "
        "give a text of your own by data=text_files data.path=FILE.txt"
    )
