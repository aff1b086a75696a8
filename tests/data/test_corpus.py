import pickle

import numpy as np
import pytest
import torch

from seqkit.contracts.batch import SPLITS
from seqkit.data import corpus
from seqkit.data.text import TextFiles
from seqkit.errors import DataError
from seqkit.tasks.next_token import baselines as of_text

LINES = [f"line {number % 7} of ü {'x' * (number % 11)} <unk>\r\n" for number in range(300)]


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path_factory):
    """Every text is large, its blocks are short, tokenised in this process, and not known yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(corpus, "LARGE", 1)
    monkeypatch.setattr(corpus, "BLOCK", 256)
    monkeypatch.setattr(corpus, "processors", lambda: 0)


def files(folder, parts=(LINES[:200], LINES[200:250], LINES[250:])):
    for name, lines in zip(SPLITS, parts, strict=True):
        (folder / name).mkdir()
        half = len(lines) // 2
        (folder / name / "a.txt").write_bytes("".join(lines[:half]).removesuffix("\r\n").encode())
        (folder / name / "b.txt").write_bytes("".join(lines[half:]).encode())
    return {name: str(folder / name) for name in SPLITS}


def made(**options):
    data = TextFiles(seq_len=8, batch_size=4, eval_streams=3, **options)
    data.prepare()
    data.setup()
    return data


@pytest.mark.parametrize("tokenizer", ["char", "word", "byte"])
def test_a_text_in_files_has_the_tokens_of_one_in_memory(tmp_path, monkeypatch, tokenizer):
    places = files(tmp_path)
    large = made(**places, tokenizer=tokenizer)
    monkeypatch.setattr(corpus, "LARGE", 2**40)
    whole = made(**places, tokenizer=tokenizer)
    assert large.spec == whole.spec
    assert large.facts == whole.facts
    assert large.fingerprint == whole.fingerprint
    for split in SPLITS:
        mapped, tokens = large.part(split).tokens, whole.part(split).tokens
        assert len(mapped.paths) > 5
        assert torch.equal(mapped[:], tokens)
        assert list(large.order(split, 4, 0, 0)) == list(whole.order(split, 4, 0, 0))
        sample, _ = large.part(split)[len(whole.part(split)) - 1]
        assert torch.equal(sample, whole.part(split)[len(whole.part(split)) - 1][0])
        assert sample.dtype == torch.int64


def test_one_text_is_cut_at_line_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("".join(LINES).encode())
    data = made(path=str(path), split=[0.5, 0.2, 0.3], tokenizer="char")
    texts = [data.spec.inputs.tokenizer.decode(data.part(split).tokens[:].tolist()) for split in SPLITS]
    assert "".join(texts) == "".join(LINES).replace("\r\n", "\n")
    assert all(text.endswith("\n") for text in texts)
    assert [round(len(text) / sum(map(len, texts)), 1) for text in texts] == [0.5, 0.2, 0.3]


def test_slices_across_files(tmp_path):
    arrays = [np.arange(5, dtype=np.uint8), np.arange(5, 6, dtype=np.uint8), np.arange(6, 13, dtype=np.uint8)]
    for number, array in enumerate(arrays):
        np.save(tmp_path / f"{number}.npy", array)
    tokens = corpus.MappedTokens([tmp_path / f"{number}.npy" for number in range(3)])
    assert len(tokens) == 13
    for start in range(14):
        for stop in range(15):
            assert tokens[start:stop].tolist() == list(range(13))[start:stop]
    assert pickle.loads(pickle.dumps(tokens))[3:8].tolist() == [3, 4, 5, 6, 7]


def test_a_second_start_tokenises_nothing_and_a_killed_one_goes_on(tmp_path, monkeypatch):
    places, work, done = files(tmp_path), corpus._Work.__getitem__, []

    def killed(self, number):
        if number == 10:
            raise KeyboardInterrupt
        return work(self, number)

    monkeypatch.setattr(corpus._Work, "__getitem__", killed)
    with pytest.raises(KeyboardInterrupt):
        made(**places)
    pieces = corpus.Block.text
    monkeypatch.setattr(corpus._Work, "__getitem__", work)
    monkeypatch.setattr(corpus.Block, "text", lambda self, *how: done.append(self) or pieces(self, *how))
    first = made(**places)
    assert len(done) == sum(len(first.part(split).tokens.paths) for split in SPLITS) - 10
    done.clear()
    again = made(**places)
    assert not done
    assert torch.equal(again.part("train").tokens[:], first.part("train").tokens[:])


def test_a_changed_file_is_tokenised_anew(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(LINES))
    first = made(path=str(path), split=[0.6, 0.2, 0.2])
    path.write_text("".join(LINES) + "more\n" * 40)
    second = made(path=str(path), split=[0.6, 0.2, 0.2])
    assert second.fingerprint != first.fingerprint
    assert sum(len(second.part(s).tokens) for s in SPLITS) == sum(len(first.part(s).tokens) for s in SPLITS) + 200


def test_what_is_no_text_is_named_with_its_byte(tmp_path):
    path = tmp_path / "a.txt"
    content = "".join(LINES).encode()
    path.write_bytes(content[:3000] + b"\n\xff\n" + content[3000:])
    with pytest.raises(DataError) as caught:
        made(path=str(path))
    due = "save it as UTF-8, or give its encoding, as data.encoding=cp1252 (Windows) or latin-1"
    assert str(caught.value) == f"{path}: not UTF-8 at byte 3001; {due}"


def test_n_grams_of_a_large_text_are_those_of_its_start_and_say_so(tmp_path, monkeypatch):
    data = made(**files(tmp_path))
    monkeypatch.setattr(of_text, "COUNTED", 500)
    names = list(data.spec.task.baselines(data.spec, data, "test"))
    assert names[0] == "1-gram of 500 tokens"
