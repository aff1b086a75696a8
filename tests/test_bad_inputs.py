"""Bad configurations and command lines: each is one line, exit 1 (2 for wrong usage), no traceback."""

import contextlib
import os
import shlex
from pathlib import Path

import pytest
import torch

from seqkit.__main__ import run
from tests.bad_files import SMALL, TEXT, command, hourly, make, manifest, refused, sounds, wav

PREFIX = {
    "configs": "train data=adding trainer.accelerator=cpu",
    "late": "train trainer.accelerator=cpu",
    "commands": "",
}

# name: files, words after the prefix, what the line says
CONFIGS = {
    "unknown model": ({}, "model=lsmt", "no model 'lsmt'. Did you mean 'lstm'?"),
    "unknown experiment": ({}, "experiment=mors", "no experiment 'mors'. Did you mean 'morse'?"),
    "unknown data": ({}, "data=addign", "no data 'addign'. Did you mean 'adding'?"),
    "unknown optimizer": ({}, "optimizer=adam", "no optimizer 'adam'. Did you mean 'adamw'?"),
    "unknown scheduler": ({}, "scheduler=cosin", "no scheduler 'cosin'. Did you mean 'cosine'?"),
    "unknown head": ({}, "head=classifi", "no head 'classifi'. Did you mean 'classify'?"),
    "unknown frontend": ({}, "frontend=frame", "no frontend 'frame'. Did you mean 'frames'?"),
    "unknown logger": ({}, "logger=wandbb", "no logger 'wandbb'. Did you mean 'wandb'?"),
    "unknown trainer": ({}, "trainer=tpu", "no trainer 'tpu'"),
    "unknown group": ({}, "modle=lstm", "no setting 'modle'. Did you mean 'model'?"),
    "unknown setting": ({}, "sede=3", "no setting 'sede'. Did you mean 'seed'?"),
    "unknown option of the model": ({}, "model.hiden_size=5", "no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'?"),
    "unknown option of the data": ({}, "data.lenght=5", "no option 'lenght' in data=adding. Did you mean 'length'?"),
    "unknown option of the optimizer": ({}, "optimizer.rate=5", "no option 'rate' in optimizer=adamw"),
    "unknown option of the trainer": ({}, "trainer.steps=5", "no option 'steps' in trainer="),
    "unknown option, added": ({}, "+model.foo=1", "no option 'foo' in model=lstm"),
    "unknown option, forced": ({}, "++model.foo=1", "no option 'foo' in model=lstm"),
    "option taken away": ({}, "~model.hidden_size", "~model.hidden_size: an option cannot be taken away; give it a value, model.hidden_size=VALUE"),
    "option of no logger": ({}, "logger.mode=offline", "logger.mode: no logger is chosen yet; name it too"),
    "a word for a number": ({}, "model.hidden_size=abc", "model.hidden_size=abc: not an integer"),
    "a fraction for a whole number": ({}, "model.hidden_size=2.5", "model.hidden_size=2.5: not an integer"),
    "a list for a number": ({}, "model.hidden_size=[1,2]", "model.hidden_size"),
    "a word for a fraction": ({}, "model.dropout=x", "model.dropout=x: not a number"),
    "a word for a switch": ({}, "model.bidirectional=maybe", "model.bidirectional"),
    "size 0": ({}, "model.hidden_size=0", "model.hidden_size=0: input should be greater than 0"),
    "layers below 0": ({}, "model.num_layers=-1", "model.num_layers=-1: input should be greater than 0"),
    "dropout 1": ({}, "model.dropout=1.0", "model.dropout=1.0: input should be less than 1"),
    "dropout below 0": ({}, "model.dropout=-0.1", "model.dropout=-0.1: input should be greater than or equal to 0"),
    "unknown backend": ({}, "model.backend=fast", "model.backend=fast: choose one of 'auto', 'native', 'fused', 'compiled', 'parallel', 'reference'"),
    "renamed option": ({}, "model.loop=fused", "no option 'loop' in model=lstm: it is model.backend now"),
    "null": ({}, "model.hidden_size=null", "model.hidden_size cannot be null"),
    "group null": ({}, "model=null", "this group takes a name, not null"),
    "group taken away": ({}, "~model", "model is not chosen; say model=NAME"),
    "length 1": ({}, "data.length=1", "data.length=1: input should be greater than or equal to 2"),
    "batch of 0": ({}, "data.batch_size=0", "data.batch_size=0: input should be greater than 0"),
    "lr infinite": ({}, "optimizer.lr=inf", "optimizer.lr=inf: input should be a finite number"),
    "lr no number": ({}, "optimizer.lr=nan", "optimizer.lr=nan: input should be"),
    "lr below 0": ({}, "optimizer.lr=-1", "optimizer.lr=-1.0: input should be greater than 0"),
    "seed below 0": ({}, "seed=-1", "seed=-1: input should be greater than or equal to 0"),
    "seed too large": ({}, "seed=4294967296", "seed=4294967296: input should be less than 4294967296"),
    "unknown precision": ({}, "trainer.precision=8", "trainer.precision=8: choose one of"),
    "unknown accelerator": ({}, "trainer.accelerator=tpu", "trainer.accelerator=tpu: choose one of 'auto', 'cpu', 'gpu'"),
    "steps 0": ({}, "trainer.max_steps=0", "trainer.max_steps=0: input should be greater than 0"),
    "no end": ({}, "trainer.max_steps=null", "how long to train is not said"),
    "interval 0": ({}, "trainer.val_check_interval=0", "trainer.val_check_interval=0: input should be greater than 0"),
    "workers below 0": ({}, "trainer.num_workers=-1", "trainer.num_workers=-1: input should be greater than or equal to 0"),
    "id with a slash": ({}, "id=a/b", "id=a/b: letters, digits and . _ - only"),
    "id out of the folder": ({}, "id=../../x", "id=../../x: letters, digits and . _ - only"),
    "id empty": ({}, "id=", "id= is empty; if it comes from a variable of the shell, that is not set"),
    "name empty": ({}, "name=", "name= is empty"),
    "name with a slash": ({}, "name=../evil", "name=../evil: letters, digits and . _ - only"),
    "name with spaces": ({}, "'name=naïve 模型'", "cannot read the override 'name=naïve 模型'"),
    "runs a file": ({"runs": "x"}, "", "runs=runs: no folder can be made there"),
    "several values": ({}, "model=gru,lstm", "gives several values: add -m to train each"),
    "given twice": ({}, "model.hidden_size=4 model.hidden_size=8", "'model.hidden_size' is given twice"),
    "experiment given twice": ({}, "experiment=adding experiment=morse", "'experiment' is given twice"),
    "no assignment": ({}, "foo", "cannot read the override 'foo'; write group=name or group.option=value"),
    "an open bracket": ({}, "model.hidden_size=[", "cannot read the override 'model.hidden_size=['"),
    "signs of the shell": ({}, "'runs=a;b$c'", "is quoted twice, for the shell and for Hydra"),
    "a flag for an override": ({}, "--experiment=adding", "no flag --experiment; write experiment=adding"),
    "an unknown flag": ({}, "--gpu", "no flag --gpu; Known: --fresh"),
    "a config folder that is not there": ({}, "--config-dir nowhere", "nowhere' not found"),
}  # fmt: skip

# refused by what the data are: the run's first lines, about the data, come before
LATE = {
    "bidirectional": ({"a.txt": TEXT}, "data=text_files data.seq_len=8 data.path=a.txt data.split=[0.6,0.2,0.2] model.bidirectional=true", "set model.bidirectional=false"),
    "bands too high": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.fmax=9000", "frontend.fmax=9000: at most 4000 Hz"),
    "bands turned round": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.fmin=3000 frontend.fmax=2000", "frontend.fmin=3000: must be below"),
    "too many bands": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.n_mels=4000", "frontend.n_mels=4000: too many bands"),
    "hop over window": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.hop=0.1", "longer than frontend.window"),
    "projection too wide": ({}, "data=adding model.hidden_size=8 model.projection_size=9", "model.projection_size=9: must be less than model.hidden_size=8"),
    "a norm of one unit": ({}, "data=adding model.hidden_size=1 model.layer_norm=true", "one hidden unit has nothing to be normalised over"),
    "no cell to zone out": ({}, "data=adding model=gru model.zoneout_cell=0.1", "has no state but the hidden one; use model.zoneout"),
    "nesterov alone": ({}, "data=adding optimizer=sgd optimizer.nesterov=true", "optimizer.nesterov=true needs optimizer.momentum above 0"),
    "another frontend": ({}, "data=adding frontend=embedding", "frontend=embedding needs tokens, this data has Frames; use frontend=frames"),
    "another head": ({}, "data=adding head=classify", "head=classify needs classes, this data has Series; use head=forecast"),
    "a model larger than memory": ({}, "data=adding model.hidden_size=1000000", "parameters needs 64 TB of memory in training"),
    "a model larger than numbers": ({}, f"data=adding model.hidden_size={10**18}", "more parameters than can be counted; make it smaller"),
    "a batch larger than memory": ({}, "data=adding data.batch_size=1000000000 data.train_size=1000000000", "batches of 1,000,000,000 samples need about"),
    "an order larger than memory": ({}, f"data=adding data.train_size={10**13}", "a training part of 10,000,000,000,000 samples needs 80 TB of memory"),
    "workers without end": ({}, "data=adding trainer.num_workers=100000", "trainer.num_workers=100000 needs 5 TB of memory"),
    "a transcript too long": (manifest("low/0.wav,a", "low/1.wav,b", f"low/2.wav,{'ab' * 90}", "low/3.wav,a", header="path,transcript"), "data=audio_folder data.manifest=sounds/files.csv data.valid_fraction=0.25 data.test_fraction=0.25", "sounds/files.csv, line 4: a transcript of 180 symbols needs 180 output steps, 2.wav gives 18"),
}  # fmt: skip

COMMANDS = {
    "unknown command": ({}, "trian", "no command 'trian'. Did you mean 'train'?"),
    "list of an unknown kind": ({}, "list modle", "no kind of component 'modle'. Did you mean 'model'?"),
    "describe an unknown model": ({}, "describe model=lsmt", "no model 'lsmt'. Did you mean 'lstm'?"),
    "describe an unknown kind": ({}, "describe modle=lstm", "no kind of component 'modle'. Did you mean 'model'?"),
    "describe a kind": ({}, "describe model", "say which model: seqkit describe model=NAME"),
    "describe an unknown experiment": ({}, "describe experiment=mors", "no experiment 'mors'. Did you mean 'morse'?"),
    "describe a task with options": ({}, "describe task=classify task.names=5", "options can be set to describe one of data, frontend, model,"),
    "describe data with wrong options": ({}, "describe data=adding data.length=0", "data.length=0: input should be greater than"),
    "describe at no input size": ({}, "describe model=lstm --input-size 0", "--input-size 0: must be 1 or more"),
    "describe with another option": ({}, "describe model=lstm data.length=5", "'data.length=5': write model.OPTION=VALUE"),
    "describe with an unknown option": ({}, "describe model=lstm model.foo=5", "no option 'foo' in model=lstm"),
    "describe no run": ({}, "describe runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "evaluate no run": ({}, "evaluate runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "evaluate a file": ({"a.txt": TEXT}, "evaluate a.txt", "a.txt is not a checkpoint of seqkit"),
    "resume no run": ({}, "resume runs/x/y", "is not a run: there is no config.json in it"),
    "resume a file": ({"a.txt": TEXT}, "resume a.txt", "a.txt is not a run"),
    "predict with no run": ({}, "predict runs/x/y a.txt", "runs/x/y is not a run: there is no config.json in it"),
    "generate with no run": ({}, "generate runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "export no run": ({}, "export runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
}  # fmt: skip


# of commands on trained runs: {adding}, {text} and {sounds}
ON_RUNS = {
    "evaluate in batches of 0": ({}, "evaluate {adding} --batch-size 0", "batch size 0: must be 1 or more"),
    "evaluate with an unknown option": ({}, "evaluate {adding} data.nonsense=1", "no option 'nonsense' in data=adding"),
    "evaluate with a word for a number": ({}, "evaluate {adding} data.length=x", "data.length=x: input should be a valid integer"),
    "evaluate another model": ({}, "evaluate {adding} model.hidden_size=5", "only data.OPTION=VALUE can be changed for an evaluation"),
    "evaluate a bare word": ({}, "evaluate {adding} foo", "'foo': only data.OPTION=VALUE"),
    "evaluate with an open bracket": ({}, "evaluate {adding} data.length=[", "cannot read the override 'data.length=['"),
    "evaluate on a text that is gone": ({}, "evaluate {text} data.path=gone.txt", "gone.txt: no such file or folder"),
    "evaluate on another text": ({"other.txt": "0123456789\n" * 99}, "evaluate {text} data.path=other.txt", "differ in kind, vocabulary or scale from those the network was trained on"),
    "generate numbers": ({}, "generate {adding}", "generate needs a model with head=next_token; this one predicts Series"),
    "generate from an unknown character": ({}, "generate {text} é", "unknown to the model: 'é'"),
    "generate less than nothing": ({}, "generate {text} --length -1", "length=-1: give 0 tokens or more"),
    "generate at -1": ({}, "generate {text} --temperature -1", "temperature=-1.0: give 0 (always the likeliest token) or more"),
    "generate at nan": ({}, "generate {text} --temperature nan", "temperature=nan: give 0"),
    "generate from no tokens": ({}, "generate {text} --top-k 0", "top_k=0: give 1 token or more to draw from"),
    "predict an unknown character": ({}, "predict {text} é", "unknown to the model: 'é'"),
    "predict from a text that is not there": ({"book.txt": TEXT}, "predict {text} bok.txt", "bok.txt: no such file. Did you mean 'book.txt'?"),
    "predict from an empty file": ({"a.txt": ""}, "predict {text} a.txt", "a.txt: is empty"),
    "predict from nothing": ({}, "predict {text} ''", "'': no text to predict from"),
    "predict from a table that is not there": ({}, "predict {adding} t.csv", "t.csv: no such file"),
    "predict from a table of other columns": ({"t.csv": hourly()}, "predict {adding} t.csv", "t.csv: no column 'value'. Columns: date, load, heat"),
    "predict from an empty path": ({}, "predict {adding} ''", "a path cannot be empty; is the variable set?"),
    "predict from garbage": ({"x.wav": b"garbage"}, "predict {sounds} x.wav", "x.wav: cannot be read as WAV or FLAC"),
    "predict from a sound that is cut off": ({"x.wav": wav()[:1000]}, "predict {sounds} x.wav", "x.wav: cut off"),
    "predict from a pipe": ({"x.wav": os.mkfifo}, "predict {sounds} x.wav", "x.wav: is not a regular file"),
    "predict from a folder": ({"x/a.txt": "no sound"}, "predict {sounds} x", "x: no file in it that ends in .wav, .flac"),
    "export to another ending": ({}, "export {adding} --output x.txt", "x.txt: a file of this format must be named *.onnx"),
    "export to no folder": ({}, "export {adding} --output nowhere/x.onnx", "nowhere: no such folder"),
    "describe a run with options": ({}, "describe {adding} model.hidden_size=5", "options can be set to describe one of data, frontend, model,"),
}  # fmt: skip

USAGE = {
    "evaluate": "required: run",
    "predict": "required: run, INPUT",
    "predict runs/x": "required: INPUT",
    "generate": "required: run",
    "export": "required: run",
    "resume": "required: run",
    "describe": "required: what",
    "evaluate runs/x --split train": "argument --split: invalid choice: 'train'",
    "evaluate runs/x --device tpu": "argument --device: invalid choice: 'tpu'",
    "evaluate runs/x --batch-size x": "argument --batch-size: invalid int value: 'x'",
    "evaluate runs/x --nonsense": "unrecognized arguments: --nonsense",
    "generate runs/x --length x": "argument --length: invalid int value: 'x'",
    "generate runs/x a b": "unrecognized arguments: b",
    "export runs/x --format tflite": "argument --format: invalid choice: 'tflite'",
    "list model x": "unrecognized arguments: x",
    "train --fresh=3": "argument --fresh: ignored explicit argument '3'",
}

TABLES = {"configs": CONFIGS, "late": LATE, "commands": COMMANDS}
CASES = {f"{table}: {name}": (PREFIX[table], *case) for table, cases in TABLES.items() for name, case in cases.items()}


@pytest.mark.parametrize("name", CASES)
def test_refused(name, capsys):
    prefix, files, words, fragment = CASES[name]
    make(files)
    refused(command(prefix, words), fragment, capsys, run_started=name.startswith("late: "))


@pytest.fixture(scope="module")
def trained(originals, tmp_path_factory) -> dict[str, Path]:
    """Return the folders of three tiny runs, by what they were trained on."""
    here = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    with contextlib.chdir(here):
        make({"book.txt": TEXT, **sounds()})
        text = ["data=text_files", "data.path=book.txt", "data.seq_len=8", "data.split=[0.6,0.2,0.2]"]
        for data in (text, ["data=audio_folder", "data.path=sounds"]):
            assert run(["train", *data, *SMALL]) == 0
    runs = here / "runs"
    return {"adding": originals / "finished", "text": runs / "text_files" / "x", "sounds": runs / "audio_folder" / "x"}


@pytest.mark.parametrize("name", ON_RUNS)
def test_refused_on_a_run(name, trained, capsys):
    files, words, fragment = ON_RUNS[name]
    make(files)
    refused(shlex.split(words.format(**trained)), fragment, capsys)


@pytest.mark.parametrize("words", USAGE)
def test_wrong_usage(words, capsys):
    assert run(words.split()) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith(f"seqkit: {USAGE[words]}")
    assert out == ""


def test_overrides_behind_a_flag_are_read(capsys):
    words = ["data=adding", "data.length=6", "data.train_size=16", "data.valid_size=8", "data.test_size=8"]
    assert run(["train", *words, "model=elman,gru", "-m", *SMALL]) == 0
    assert sorted(path.name for path in Path("runs/adding").iterdir()) == ["x-0", "x-1"]
