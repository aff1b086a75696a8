"""A run that starts from the weights of another one: what is taken, what is left out, what is refused."""

import json
import logging
import shutil
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import seqkit
from seqkit.__main__ import run
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.experiment import resume
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.words.spec import SpelledWords
from seqkit.network import assemble
from seqkit.registry import build
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.starting import other_columns_reason, take_weights
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.tag.spec import Tags
from tests.conftest import TINY
from tests.training.test_lengthening import killed_at

TEXT = [
    "data=text_files", "data.train=train.txt", "data.valid=valid.txt", "data.test=valid.txt", "data.seq_len=8",
    "data.batch_size=4", "data.eval_streams=2", "frontend=embedding", "frontend.size=5", *(word for word in TINY if not word.startswith("data")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _captured(caplog):
    logging.getLogger("seqkit").addHandler(caplog.handler)
    yield
    logging.getLogger("seqkit").removeHandler(caplog.handler)


def write_text(symbols: str) -> None:
    for name, size in (("train", 400), ("valid", 80)):
        Path(f"{name}.txt").write_text((symbols * size)[:size])


def first_weights(id: str) -> Checkpoint:
    """Return the checkpoint of a training whose learning rate is next to nothing: it holds the initial weights."""
    return Checkpoint.read(Path("runs/tiny", id, "checkpoints/last.ckpt"))


STILL = ["optimizer.lr=1e-30", "optimizer.weight_decay=0"]


def test_what_fits_is_taken_and_rows_go_by_their_tokens(caplog):
    write_text("abcdabdc")
    seqkit.train([*TEXT, "id=source", "optimizer.lr=0.1"])
    source = Checkpoint.read(Path("runs/tiny/source/checkpoints/best.ckpt"))
    write_text("xdcbxbdc")  # as many symbols, others
    report = seqkit.train([*TEXT, *STILL, "id=a", "init_from=runs/tiny/source"])
    found = first_weights("a")
    theirs, ours = (one.spec().inputs.vocabulary for one in (source, found))
    assert len(theirs) == len(ours)
    for name in ("frontend.embedding.weight", "head.linear.weight", "head.linear.bias"):
        same = [(ours.index(token), theirs.index(token)) for token in ours if token in theirs]
        assert len(same) == 4
        assert all(torch.equal(found.weights[name][here], source.weights[name][there]) for here, there in same)
    whole = [name for name in found.weights if name.startswith("model.")]
    assert all(torch.equal(found.weights[name], source.weights[name]) for name in whole)
    about = report["init_from"]
    assert about["whole"] == whole
    assert about["rows"]["head.linear.bias"] == "4 of 5"
    assert (about["run"], about["step"]) == ("tiny/source", source.step)
    assert about["sha256"] == sha256(source.path.read_bytes()).hexdigest()
    assert found.metadata["init_from"] == about
    assert "of frontend.embedding.weight the rows that both have, 4 of 5" in caplog.messages
    assert "started from | tiny/source" in Path("runs/tiny/a/report.md").read_text()


def test_a_tied_weight_is_taken_once_averaged_under_both_names_and_frozen_by_either():
    write_text("abcdabdc")
    size = [word.replace("frontend.size=5", "frontend.size=4") for word in TEXT]
    seqkit.train([*size, "id=source", "optimizer.lr=0.1"])
    words = [*size, "head=next_token", "head.tied=true", "init_from=runs/tiny/source"]
    report = seqkit.train([*words, "trainer.ema=0.8", "id=a"])
    assert report["init_from"]["left_out"]["head.linear.weight"] == "here the same as frontend.embedding.weight"
    network = first_weights("a").network()
    assert network.head.linear.weight is network.frontend.embedding.weight
    weights = first_weights("a").weights
    assert torch.equal(network.head.linear.weight, weights["frontend.embedding.weight"])
    assert torch.equal(weights["head.linear.weight"], weights["frontend.embedding.weight"])
    seqkit.train([*words, "freeze=[head]", "id=frozen"])
    source = Checkpoint.read(Path("runs/tiny/source/checkpoints/best.ckpt")).weights
    frozen = first_weights("frozen").weights["head.linear.weight"]
    assert torch.equal(frozen, source["frontend.embedding.weight"])


def test_what_is_of_another_size_is_left_out_and_said(finished, caplog):
    seqkit.train([*TINY, *STILL, "data.length=9", "model.num_layers=2", f"init_from={finished}", "id=a"])
    assert "left out: model.layers.1" in caplog.text
    report = json.loads(Path("runs/tiny/a/report.json").read_text())
    assert all(name.startswith("model.layers.1.") for name in report["init_from"]["left_out"])
    source = Checkpoint.read(finished / "checkpoints/best.ckpt").weights
    found = first_weights("a").weights
    assert all(torch.equal(found[name], source[name]) for name in report["init_from"]["whole"])


def test_a_run_that_goes_on_needs_its_source_no_more(finished, monkeypatch):
    shutil.copytree(finished, "source")
    words = [*TINY, "init_from=source", "freeze=[model]", "optimizer.groups={head.output.bias:3}"]
    seqkit.train([*words, "id=whole"])
    with killed_at(monkeypatch, 4):
        seqkit.train([*words, "id=a"])
    shutil.rmtree("source")
    resume(Path("runs/tiny/a"))
    whole, again = first_weights("whole"), first_weights("a")
    assert all(torch.equal(value, again.weights[name]) for name, value in whole.weights.items())
    assert again.metadata["init_from"] == whole.metadata["init_from"]
    source = Checkpoint.read(finished / "checkpoints/best.ckpt").weights
    moved = {name for name, value in whole.weights.items() if not torch.equal(value, source[name])}
    assert moved == {name for name in source if not name.startswith("model.")}  # frozen


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["init_from=nowhere"], "init_from=nowhere: nowhere is not a run"),
        (["init_from=notes.txt"], "init_from=notes.txt: notes.txt is not a checkpoint of seqkit"),
        (["freeze=[modle]"], "freeze: no part 'modle' with parameters. Did you mean 'model'?"),
        (["freeze=[model,head]"], "freeze=[model,head] leaves nothing to train"),
        (["freeze=model"], "write 'freeze=[model]'"),
        (["freeze=[head]", "optimizer.groups={head:2}"], "optimizer.groups: no trained parameter is in 'head'"),
        (["optimizer.groups={model:-1}"], "greater than 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_run(words, reason, capsys):
    Path("notes.txt").write_text("mine")
    assert run(["train", *TINY, "id=a", *words]) == 1
    errors = capsys.readouterr().err
    assert reason in errors.splitlines()[-1]
    assert not Path("runs/tiny/a").exists()


def test_where_nothing_fits_it_is_refused(finished):
    parts = r"model=lstm there, model=gru here"
    with pytest.raises(ConfigError, match=f"init_from={finished}: none of its weights fits: .*{parts}"):
        seqkit.train(["data=timing", "model=gru", "trainer.max_steps=1", f"init_from={finished}", "id=a"])
    assert not Path("runs/timing/a").exists()


def test_other_columns_in_the_same_place_are_said():
    def reading(*names):
        frontend = build(
            "frontend", "frames", DataSpec(Frames(names, (0.0,) * len(names), (1.0,) * len(names)), NextToken())
        )
        return SimpleNamespace(frontend=frontend)

    assert other_columns_reason(reading("heat", "load"), reading("load", "heat")) == (
        "the columns are others, load,heat there, heat,load here: each takes the weights of the one in its place"
    )
    assert not other_columns_reason(reading("heat", "load"), reading("heat", "load"))
    assert not other_columns_reason(reading("heat"), reading("load", "heat"))  # no weights of another size are taken


def test_words_their_characters_and_tags_go_by_their_names():
    def tagger(words, tags):
        spec = DataSpec(SpelledWords.fit("lower_word", words, None), Tags(tags))
        parts = {"frontend": {"name": "words"}, "model": {"name": "elman"}, "head": {"name": "tag", "crf": True}}
        return spec.inputs, assemble(parts, spec)

    theirs, other = tagger(["one", "two", "six"], ("A", "B", "C"))
    ours, network = tagger(["six", "two", "ten"], ("B", "A", "D"))
    torch.nn.init.normal_(other.head.crf.transitions)
    taken = take_weights(network, other)
    assert "of 4" in taken.rows["frontend.embedding.weight"]  # <unk> and three words
    for word in ("six", "two"):
        here, there = ours.vocabulary.index(word), theirs.vocabulary.index(word)
        assert torch.equal(network.frontend.embedding.weight[here], other.frontend.embedding.weight[there])
    here, there = 2 + ours.characters.index("w"), 2 + theirs.characters.index("w")
    assert torch.equal(network.frontend.characters.weight[here], other.frontend.characters.weight[there])
    assert torch.equal(network.head.output.weight[:2], other.head.output.weight[[1, 0]])
    assert taken.left_out["head.crf.transitions"] == "none of its rows is there"
    assert not network.head.crf.transitions.any()
