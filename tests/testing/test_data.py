import numpy as np
import pytest

from seqkit.data.sea_temperature import SAMPLE
from seqkit.testing import CheckError, check_data
from seqkit.testing.data.changes import with_another_end
from seqkit.testing.tiny import READY
from tests.testing.built_in import lines

OWN_FILES = (
    "audio_folder",
    "labelled_text",
    "sequence_table",
    "series_table",
    "tagged_text",
    "text_files",
)


@pytest.mark.seqkit(*lines("data", *OWN_FILES))
def test_built_in_data(check):
    check()


def test_every_data_set_that_is_always_there_has_a_tiny_form():
    assert {tiny["name"] for tiny in READY} == {line.removeprefix("data=") for line in lines("data", *OWN_FILES)} | {
        "sequence_table",
        "tagged_text",
        "text_files",
    }


@pytest.mark.parametrize("target", [{"targets": ["speed"]}, {"targets": None, "label": "pace"}])
def test_recorded_sequences(target):
    options = next(tiny for tiny in READY if tiny["name"] == "sequence_table")
    check_data(**{**options, **target})


def test_text_files(tmp_path):
    for name, text in (("train", "abcdefgh " * 30), ("valid", "hgfe dcba " * 8), ("test", "badc hefg " * 8)):
        (tmp_path / f"{name}.txt").write_text(text)
    files = {name: str(tmp_path / f"{name}.txt") for name in ("train", "valid", "test")}
    check_data("text_files", **files, tokenizer="char", seq_len=8, batch_size=3, eval_streams=2)


@pytest.mark.parametrize(
    "options", [{"tokenizer": "char"}, {"characters": True, "max_tokens": 6}, {"tokenizer": "word", "vocab_size": 9}]
)
def test_labelled_text(tmp_path, options):
    draw = np.random.default_rng(0)
    rows = [f"{' '.join(draw.choice(list('abcdefghij'), 8))},{'xy'[number % 2]}" for number in range(40)]
    (tmp_path / "table.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    check_data("labelled_text", path=str(tmp_path / "table.csv"), batch_size=4, **options)


def test_tagged_text():
    check_data("tagged_text", path=str(SAMPLE.with_name("tagged.conll")), batch_size=4, valid_fraction=0.2)


def test_a_table(tmp_path):
    draw = np.random.default_rng(0)
    rows = "\n".join(f"{x:.4f},{y:.4f}" for x, y in draw.normal(size=(80, 2)))
    (tmp_path / "table.csv").write_text(f"x,y\n{rows}\n")
    check_data("series_table", path=str(tmp_path / "table.csv"), lookback=6, horizon=2, batch_size=8)


@pytest.mark.parametrize("target", ["label", "transcript"])
def test_sound(tmp_path, target):
    import soundfile

    draw = np.random.default_rng(0)
    lines = [f"path,{target},split"]
    for number, split in enumerate(["train"] * 6 + ["valid"] * 2 + ["test"] * 2):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * draw.normal(size=900 + 40 * number), 4000)
        lines.append(f"{number}.wav,{'ab'[number % 2]},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    check_data("audio_folder", manifest=str(tmp_path / "manifest.csv"), batch_size=3)


@pytest.mark.parametrize("name", ["piano_roll", "sentences"])
def test_data_of_the_example_plugins(load, name):
    load(f"tests.plugins.{name}")
    check_data(name)


@pytest.mark.parametrize(
    ("text", "other"),
    [("a,b\n1,2.5\n3,40\n", "a,b\n1,2.5\n3,95\n"), ("one two\nthree", "one two\n~~~~~"), ("a\n12", "a\n67")],
)
def test_only_the_end_of_a_text_is_changed(text, other):
    assert with_another_end(text) == other


def test_data_that_cannot_be_set_up_fail_once(tmp_path):
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(CheckError, match=r"\Acan_be_set_up: .*short.txt: .*\Z"):
        check_data("text_files", path=str(tmp_path / "short.txt"))
