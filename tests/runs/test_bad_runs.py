"""Bad run folders and checkpoints: each is one line, exit 1, no traceback."""

import io
import json
import pickle
import time
import zipfile
from pathlib import Path

import pytest
import torch

from seqkit.__main__ import run
from seqkit.config import config_hash
from seqkit.runs.checkpoint import read, write

BEST, LAST, METRICS, CONFIG = "checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", "config.json"
BEFORE = "checkpoints/last-1.ckpt"


def content(change):
    """Change what the checkpoints hold and write them as seqkit would, checksum included."""

    def damage(folder: Path) -> None:
        for name in (BEST, LAST, BEFORE):
            saved = read(folder / name)
            write(folder / name, change(saved) or saved)

    return damage


def meta(**values):
    return content(lambda saved: saved["seqkit"].update(values))


def model(**options):
    return content(lambda saved: saved["seqkit"]["config"]["model"].update(options))


def raw(name: str, make):
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(make(path.read_bytes()))

    return damage


def gone(*names: str):
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def config_json(change, keep_hash: bool):
    def damage(folder: Path) -> None:
        saved = json.loads((folder / CONFIG).read_text())
        change(saved["config"])
        if not keep_hash:
            saved["hash"] = config_hash(saved["config"])
        (folder / CONFIG).write_text(json.dumps(saved))

    return damage


def flipped(data: bytes) -> bytes:
    return data[:3000] + bytes([data[3000] ^ 4]) + data[3001:]


def all_flipped(folder: Path) -> None:
    for name in (LAST, BEFORE, BEST):
        raw(name, flipped)(folder)


def compressed(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def foreign(data: bytes) -> bytes:
    torch.save({"state_dict": {}}, buffer := io.BytesIO())
    return buffer.getvalue()


def stretched(saved: dict) -> None:
    name = next(iter(saved["state_dict"]))
    saved["state_dict"][name] = torch.zeros(1).expand(10**9)


def of(kind: str):
    return lambda saved: saved["seqkit"]["spec"]["inputs"].update(kind=kind)


def set_lr(config: dict) -> None:
    config["optimizer"]["lr"] = 0.5


def unknown_model(config: dict) -> None:
    config["model"]["name"] = "mgu"


CASES = {
    "best cut short": ("evaluate", raw(BEST, lambda data: data[:1000]), "or is damaged: it is cut short"),
    "best cut by a byte": ("evaluate", raw(BEST, lambda data: data[:-1]), "is not a checkpoint of seqkit, or is damaged"),
    "best with a byte more": ("evaluate", raw(BEST, lambda data: data + b"x"), "or is damaged: "),
    "best of no bytes": ("evaluate", raw(BEST, lambda data: b""), "or is damaged: it is empty"),
    "best of zeros": ("evaluate", raw(BEST, lambda data: bytes(len(data))), "it is no zip file with tensors"),
    "best a text": ("evaluate", raw(BEST, lambda data: b"hello\n"), "it is no zip file with tensors"),
    "best a pickle": ("evaluate", raw(BEST, lambda data: pickle.dumps(Path("x"))), "it is no zip file with tensors"),
    "best of another program": ("evaluate", raw(BEST, foreign), "or is damaged: it has no checksum"),
    "best compressed": ("evaluate", raw(BEST, compressed), "' is compressed"),
    "best with a flipped bit": ("evaluate", raw(BEST, flipped), "checksum it was written with"),
    "all with a flipped bit": ("resume --report", all_flipped, "last.ckpt is not a checkpoint of seqkit, or is damaged"),
    "best gone": ("evaluate", gone(BEST), "has lost best.ckpt, which its training wrote and cannot write again; runs/tiny/finished/checkpoints/last.ckpt (step 6) can be evaluated"),
    "best gone, report asked for": ("resume --report", gone(BEST), "has lost best.ckpt"),
    "all gone": ("evaluate", gone(BEST, LAST, BEFORE), "its checkpoints are gone; its report is still there"),
    "all gone, report asked for": ("resume --report", gone(BEST, LAST, BEFORE), "its checkpoints are gone; its report is still there"),
    "no table": ("evaluate", content(lambda saved: [1, 2]), "it holds no table"),
    "no metadata": ("evaluate", content(lambda saved: saved.pop("seqkit") and None), "it has no seqkit"),
    "metadata a list": ("evaluate", content(lambda saved: saved.update(seqkit=[])), "seqkit is of another type"),
    "keys are numbers": ("evaluate", content(lambda saved: saved.update({1: 2})), "it has keys that are not strings"),
    "weights a list": ("evaluate", content(lambda saved: saved.update(state_dict=[])), "state_dict is of another type"),
    "a weight is a number": ("evaluate", content(lambda saved: saved["state_dict"].update(x=1)), "its weight 'x' is no named tensor"),
    "a weight of no name": ("evaluate", content(lambda saved: saved["state_dict"].update({3: torch.ones(1)})), "its weight 3 is no named tensor"),
    "a weight is missing": ("evaluate", content(lambda saved: saved["state_dict"].popitem() and None), "its weights do not fit the network"),
    "a weight claims too much": ("evaluate", content(stretched), "claims more values than the file holds"),
    "step a word": ("evaluate", content(lambda saved: saved.update(global_step="x")), "global_step is of another type"),
    "no callbacks": ("resume --report", content(lambda saved: saved.update(callbacks={})), "its state of the training is missing"),
    "config None": ("evaluate", meta(config=None), "seqkit.config is of another type"),
    "config empty": ("evaluate", meta(config={}), "is not chosen"),
    "config with words": ("evaluate", meta(config={"data": "x", "model": 3}), "needs a name"),
    "spec None": ("evaluate", meta(spec=None), "seqkit.spec is of another type"),
    "spec empty": ("evaluate", meta(spec={}), "its data spec cannot be read"),
    "a logger as inputs": ("evaluate", content(of("logger")), "logger 'frames' stands where inputs belongs"),
    "a trainer that is a number": ("resume", config_json(lambda config: config.update(trainer=5), False), "trainer needs a name"),
    "a model of a number": ("resume", config_json(lambda config: config["model"].update(name=5), False), "model needs a name"),
    "config.json nested without end": ("resume", raw(CONFIG, lambda data: b"[" * 10**5), "config.json is not a config of seqkit"),
    "kind unknown": ("evaluate", content(of("Smells")), "best.ckpt"),
    "latest None": ("evaluate", meta(latest=None), "seqkit.latest is of another type"),
    "latest in words": ("evaluate", meta(latest={"mse": "small"}), "its score 'mse' is no number"),
    "started in a number": ("evaluate", meta(started_in=3), "seqkit.started_in is of another type"),
    "no ranks": ("evaluate", meta(ranks=[]), "seqkit.ranks is not a list with the state of each process"),
    "a million layers": ("evaluate", model(num_layers=10**6), "its weights do not fit the network"),
    "wide": ("evaluate", model(hidden_size=60000), "its weights do not fit the network"),
    "wider than memory": ("evaluate", model(hidden_size=10**9), "best.ckpt: "),
    "another option": ("evaluate", model(nonsense=1), "no option 'nonsense'"),
    "another model": ("evaluate", model(name="gru"), "its weights do not fit the network"),
    "no checkpoint yet": ("evaluate", gone(BEST, LAST, BEFORE, "report.json"), "has no checkpoint yet: its first validation was not reached; `seqkit resume runs/tiny/finished`"),
    "no run": ("evaluate", gone(CONFIG, BEST, LAST, BEFORE, "report.json"), "is not a run: there is no config.json in it"),
    "config.json gone": ("resume", gone(CONFIG), "is not a run: there is no config.json in it"),
    "config.json empty": ("resume", raw(CONFIG, lambda data: b""), "config.json is not a config of seqkit"),
    "config.json cut": ("resume", raw(CONFIG, lambda data: data[:100]), "config.json is not a config of seqkit"),
    "config.json a list": ("resume", raw(CONFIG, lambda data: b"[1]"), "config.json is not a config of seqkit"),
    "config.json bytes": ("resume", raw(CONFIG, lambda data: b"\xff\xfe"), "config.json is not a config of seqkit"),
    "config.json edited": ("resume", config_json(set_lr, True), "config.json was edited after the start of the run"),
    "config.json edited, with its hash": ("resume", config_json(set_lr, False), "last.ckpt was trained with (optimizer.lr was 0.001, now 0.5); put it back"),
    "model unknown": ("resume", config_json(unknown_model, False), "config.json: no model 'mgu'"),
}  # fmt: skip

HALFWAY = {
    "config.json edited": (config_json(set_lr, True), "config.json was edited after the start of the run"),
    "best gone": (gone(BEST), "has lost best.ckpt"),
    "metrics of no bytes": (raw(METRICS, lambda data: b""), "metrics.csv is damaged at line 1: expected step,metric,value"),
    "metrics: a word for a number": (raw(METRICS, lambda data: data.replace(b"2,valid/mse,", b"2,valid/mse,x")), "expected STEP,METRIC,VALUE, found '2,valid/mse,x"),
    "metrics: a column more": (raw(METRICS, lambda data: data.replace(b"2,valid/mse,", b"2,valid/mse,0,")), "found '2,valid/mse,0,"),
    "metrics: a blank line": (raw(METRICS, lambda data: data.replace(b"2,valid/mse", b"\n2,valid/mse")), "found ''"),
    "metrics: not UTF-8": (raw(METRICS, lambda data: data.replace(b"valid", b"v\xfflid")), "metrics.csv is damaged: it is not UTF-8"),
    "other data": (meta(fingerprint="0" * 64), "the data have changed since"),
    "other width": (model(hidden_size=5), "last.ckpt was trained with (model.hidden_size was 5, now 4)"),
}  # fmt: skip


def refused(words: list[str], fragment: str, capsys) -> None:
    capsys.readouterr()
    started = time.monotonic()
    assert run(words) == 1
    assert time.monotonic() - started < 10
    lines = capsys.readouterr().err.splitlines()
    [line] = [line for line in lines if line.startswith("seqkit: ")]
    assert line == lines[-1]
    assert fragment in line
    assert not any("Traceback" in line or "weights_only" in line for line in lines)


@pytest.mark.parametrize("name", CASES)
def test_of_a_finished_run(name, finished, capsys):
    command, damage, fragment = CASES[name]
    damage(finished)
    command, *flags = command.split()
    refused([command, str(finished), *flags], fragment, capsys)


@pytest.mark.parametrize("name", HALFWAY)
def test_of_a_killed_run(name, halfway, capsys):
    damage, fragment = HALFWAY[name]
    damage(halfway)
    before = {path: path.read_bytes() for path in (halfway / "checkpoints").iterdir()}
    refused(["resume", str(halfway)], fragment, capsys)
    assert before == {path: path.read_bytes() for path in (halfway / "checkpoints").iterdir()}
