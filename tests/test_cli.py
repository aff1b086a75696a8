"""The door, as a user finds it: what each command prints, and every refusal's exact line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from seqkit import registry
from seqkit.__main__ import COMMANDS, run

TINY = [
    "data=adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8", "data.batch_size=8",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=4", "trainer.val_check_interval=2",
]  # fmt: skip
LSTM = "hidden_size, num_layers, bidirectional, projection_size, residual, dropout, locked_dropout, variational_dropout, weight_dropout, zoneout, zoneout_cell, layer_norm, learned_state, forget_bias, recurrent_init, backend"
SETTINGS = (
    "data, frontend, model, head, optimizer, scheduler, trainer, logger, experiment, name, id, seed, runs, "
    "init_from, freeze"
)

READERS = "These read one: audio_folder, text_files, labelled_text, series_table, sequence_table, tagged_text"

REFUSALS = {
    "model=lsmt": "no model 'lsmt'. Did you mean 'lstm'? Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm",
    "model=LSMT": "no model 'LSMT'. Did you mean 'lstm'? Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm",
    "model.hiden_size=5": f"no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'? Options: {LSTM}",
    "+model.foo=1": f"no option 'foo' in model=lstm. Options: {LSTM}",
    "modle=lstm": f"no setting 'modle'. Did you mean 'model'? Known: {SETTINGS}",
    "lr=0.1": f"no setting 'lr'. Did you mean 'optimizer.lr=0.1'? Known: {SETTINGS}",
    "learning_rate=0.1": f"no setting 'learning_rate'. Did you mean 'optimizer.lr=0.1'? Known: {SETTINGS}",
    "epochs=3": f"no setting 'epochs'. Did you mean 'trainer.max_epochs=3'? Known: {SETTINGS}",
    "experiment=forecast dropout=.1": f"no setting 'dropout'. Did you mean 'model.dropout=.1 or head.dropout=.1'? Known: {SETTINGS}",
    "optimizer.batch_size=8": "no option 'batch_size' in optimizer=adamw. Did you mean 'data.batch_size'? Options: "
    "lr, beta1, beta2, eps, weight_decay, groups",
    "data=table.csv": f"no data 'table.csv'. Did you mean 'data=NAME data.path=table.csv'? {READERS}",
    "experiment=forecast data=table.csv": f"no data 'table.csv'. Did you mean 'data.path=table.csv'? {READERS}",
    "sede=3": f"no setting 'sede'. Did you mean 'seed'? Known: {SETTINGS}",
    "model.hidden_size=abc": "model.hidden_size=abc: not an integer",
    "model.dropout=x": "model.dropout=x: not a number",
    "model.hidden_size=0": "model.hidden_size=0: input should be greater than 0",
    "model.dropout=1.0": "model.dropout=1.0: input should be less than 1",
    "model.hidden_size=null": "model.hidden_size cannot be null",
    "model.backend=fast": "model.backend=fast: choose one of 'auto', 'native', 'fused', 'compiled', 'parallel', 'reference'",
    "model.loop=fused": "no option 'loop' in model=lstm: it is model.backend now",
    "++model.name=gruu": "no model 'gruu'. Did you mean 'gru'? Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm",
    "~model": "model is not chosen; say model=NAME. Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm",
    "model=null": "this group takes a name, not null",
    "logger.mode=x": "logger.mode: no logger is chosen yet; name it too, logger=NAME logger.mode=VALUE. "
    "Known: tensorboard, wandb",
    "foo": "cannot read the override 'foo'; write group=name or group.option=value",
    "model.hidden_size=[": "cannot read the override 'model.hidden_size=['; a value with spaces or signs such as ; ' $ # is "
    "quoted twice, for the shell and for Hydra: \"model.hidden_size='['\"",
    "model.hidden_size=4 model.hidden_size=8": "'model.hidden_size' is given twice: model.hidden_size=4 and model.hidden_size=8; "
    "give it once",
    "data=adding data.length=1000000000": "data.length=1000000000: input should be less than or equal to 100000",
    "data.batch_size=1" + 30 * "0": f"data.batch_size=1{30 * '0'}: no machine counts so far; give a smaller number",
    "-x seed=3": "no flag -x; Known: --fresh, --exact, --changed-code, --json, -m, --multirun, --cfg, --resolve, --package, --config-dir, "
    "--config-name, --config-path, --info, --hydra-help",
    "seed=-1": "seed=-1: input should be greater than or equal to 0",
    "id=a/b": "id=a/b: letters, digits and . _ - only, starting with a letter or digit",
    "trainer.max_steps=null": "how long to train is not said; give trainer.max_steps=N or trainer.max_epochs=N",
    "model=gru,lstm": "model=gru,lstm gives several values: add -m to train each, or write [a,b] for a list",
    "--experiment=text": "no flag --experiment; write experiment=text",
    "experiment=morse head=classify": "head=classify needs classes, this data has Transcript; use head=transcribe",
    "data=series_table data.path=x data.targets=y": "data.targets=y: not a list; write 'data.targets=[y]'",
    "data=series_table": "data.path is required; say data.path=VALUE",
    "optimizer.nesterov=true optimizer=sgd": "optimizer.nesterov=true needs optimizer.momentum above 0, such as 0.9",
}


@pytest.fixture
def _only_built_in(monkeypatch):
    """Forget what other tests of this process have registered, which a refusal would list."""
    registry.load_built_in()
    for kind, components in registry._components.items():
        own = {name: component for name, component in components.items() if component.provider == "seqkit"}
        monkeypatch.setitem(registry._components, kind, own)
    store = ConfigStore.instance()  # Hydra's, where the names are looked up, keeps what it was given
    monkeypatch.setattr(
        store, "repo", {group: nodes for group, nodes in store.repo.items() if group not in registry.KINDS}
    )


@pytest.mark.usefixtures("_only_built_in")
@pytest.mark.parametrize("overrides", REFUSALS)
def test_refusals(overrides, capsys):
    assert run(["train", *overrides.split()]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1] == f"seqkit: {REFUSALS[overrides]}"
    assert printed.out == ""
    assert not list(Path().glob("runs/*/*"))


def test_a_missing_file_is_refused_before_anything_is_written(capsys):
    Path("book.txt").write_text("hello\n")
    assert run(["train", "data=text_files", "data.path=bok.txt"]) == 1
    expected = (
        "seqkit: bok.txt: no such file or folder. Did you mean 'book.txt'? "
        "Expected a UTF-8 text file or a folder of *.txt files\n"
    )
    assert capsys.readouterr().err == expected
    assert not Path("runs").exists()


def test_an_experiment_that_is_not_there(capsys):
    assert run(["train", "experiment=mors"]) == 1
    assert "no experiment 'mors'. Did you mean 'morse'? Known: adding, audio_classify, " in capsys.readouterr().err


@pytest.mark.parametrize(("words", "is_default"), [("", True), ("model=gru", True), ("experiment=adding", False)])
def test_a_training_of_the_default_experiment_says_so(words, is_default, monkeypatch, capsys):
    monkeypatch.setattr("seqkit.experiment.train", lambda *_: {})
    assert run(["train", *words.split(), "--json"]) == 0
    model = "gru" if "gru" in words else "lstm"
    said = f"seqkit: no experiment is named: training the default one, data=python_source model={model}. `seqkit list` "
    assert capsys.readouterr().err.startswith(said) == is_default


def test_a_config_of_ones_own_is_not_the_default_experiment(monkeypatch, capsys):
    monkeypatch.setattr("seqkit.experiment.train", lambda *_: {})
    Path("conf").mkdir()
    Path("conf/mine.yaml").write_text("defaults: [train, _self_]\nseed: 3\n")
    assert run(["train", "--config-dir", "conf", "--config-name", "mine", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_train_evaluate_describe_resume(capsys):
    assert run(["train", *TINY, "id=a", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(Path("runs/adding/a/report.json").read_text()) | {"overrides": [*TINY, "id=a"]}
    assert run(["evaluate", "runs/adding/a", "--batch-size", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": report["test"], **report["baselines"]}
    assert run(["evaluate", "runs/adding/a/checkpoints/best.ckpt", "--split", "valid", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == report["valid"]
    assert run(["describe", "runs/adding/a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == report["parameters"]
    before = Path("runs/adding/a/checkpoints/last.ckpt").read_bytes()
    assert run(["resume", "runs/adding/a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"] == report["test"]
    assert Path("runs/adding/a/checkpoints/last.ckpt").read_bytes() == before  # it was complete


def test_the_report_tells_what_was_seen(capsys):
    run(["train", *TINY, "id=a"])
    out = capsys.readouterr().out
    report = json.loads(Path("runs/adding/a/report.json").read_text())
    page = Path("runs/adding/a/report.md").read_text()
    assert f"{report['test']['mse']:.4g}" in out
    assert f"{report['test']['mse']:.4g}" in page
    assert "training mean" in out
    for picture in ("learning_curves.png", "forecast.png"):
        assert f"({picture})" in page
        assert Path("runs/adding/a", picture).read_bytes().startswith(b"\x89PNG")
    assert report["config_hash"] == json.loads(Path("runs/adding/a/config.json").read_text())["hash"]


def test_an_id_belongs_to_one_config(capsys):
    assert run(["train", *TINY, "id=a"]) == 0
    assert run(["train", *TINY, "id=a", "model.num_layers=2"]) == 1
    expected = "exists with another config (model.num_layers was 1, now 2); go on with it as it is by `seqkit resume runs/adding/a`"
    assert expected in capsys.readouterr().err
    assert run(["train", *TINY, "id=a", "model.num_layers=2", "--fresh"]) == 0
    assert json.loads(Path("runs/adding/a/report.json").read_text())["config"]["model"]["num_layers"] == 2


def test_sweep(capsys):
    assert run(["train", *TINY, "model=elman,gru", "id=s", "-m"]) == 0
    out = capsys.readouterr().out
    table = [line.split() for line in out[out.rindex("run  ") :].splitlines()]
    places = table[0].index("run"), table[0].index("model")
    assert [tuple(cells[place] for place in places) for cells in table if "s-" in cells[0]] == [
        ("s-0", "elman"),
        ("s-1", "gru"),
    ]
    assert Path("runs/adding/s-0/report.json").exists()
    assert Path("runs/adding/s-1/report.json").exists()
    assert run(["train", *TINY, "model=elman,gru", "id=s", "-m", "--json"]) == 0
    assert [report["config"]["model"]["name"] for report in json.loads(capsys.readouterr().out)] == ["elman", "gru"]


@pytest.mark.parametrize(("words", "line"), [
    (["trian"], f"no command 'trian'. Did you mean 'train'? Known: {', '.join(sorted(COMMANDS))}"),
    (["evaluate", "runs/x"], "runs/x is not a run: there is no config.json in it. Expected a folder runs/NAME/ID"),
    (["resume", "."], " is not a run: there is no config.json in it. Expected a folder runs/NAME/ID"),
    (["describe", "head"], "say which head: seqkit describe head=NAME. Known: classify, distribution_forecast, forecast, next_token, "
     "quantile_forecast, regress, tag, transcribe"),
    (["describe", "experiment=mors"], "no experiment 'mors'. Did you mean 'morse'? Known: adding, audio_classify, "
                                      "audio_transcribe, awd_lstm, forecast, morse, python_source, sea_temperature, sequence_classify, sequence_regress, "
     "series_table, tag, text, text_classify, timing"),
    (["describe", "nothing"], "nothing is not a run: there is no config.json in it. Expected a folder runs/NAME/ID"),
])  # fmt: skip
def test_wrong_words(words, line, capsys):
    assert run(words) == 1
    assert capsys.readouterr().err.endswith(f"{line}\n")


def test_damaged_files(capsys):
    assert run(["train", *TINY, "id=a"]) == 0
    best = Path("runs/adding/a/checkpoints/best.ckpt")
    best.write_bytes(best.read_bytes()[:1000])
    capsys.readouterr()
    assert run(["evaluate", "runs/adding/a"]) == 1
    assert "is not a checkpoint of seqkit, or is damaged" in capsys.readouterr().err
    Path("runs/adding/a/config.json").write_text("{")
    assert run(["resume", "runs/adding/a"]) == 1
    assert "config.json is not a config of seqkit" in capsys.readouterr().err


def test_a_checkpoint_cannot_run_code(capsys, tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"seqkit": Evil()}, tmp_path / "evil.ckpt")
    assert run(["evaluate", str(tmp_path / "evil.ckpt")]) == 1
    assert "is not a checkpoint of seqkit" in capsys.readouterr().err
    assert not (tmp_path / "owned").exists()


def command(*words: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "seqkit", *words], capture_output=True, text=True, **more)


def test_help_and_version_import_nothing_heavy():
    for words in (["--help"], ["--version"], []):
        code = f"import sys; from seqkit.__main__ import COMMANDS, run; run({words}); print(sorted(sys.modules))"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        assert not any(f"'{heavy}'" in out for heavy in ("torch", "hydra", "lightning", "pydantic", "numpy"))
        assert "seqkit" in out


def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_go_on():
    import signal

    longer = ["trainer.max_steps=100000", "trainer.val_check_interval=50000"]
    keys = {word.partition("=")[0] for word in longer}
    words = ["train", *(word for word in TINY if word.partition("=")[0] not in keys), "id=c", *longer]
    process = subprocess.Popen([sys.executable, "-m", "seqkit", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    metrics = Path("runs/adding/c/metrics.csv")
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("train/loss") > 2):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    last = err.decode().splitlines()[-1]
    assert last.startswith("seqkit: stopped by SIGINT at step ")
    assert last.endswith(f"go on with: seqkit resume {Path('runs/adding/c')}")
    assert Path("runs/adding/c/checkpoints/last.ckpt").exists()


@pytest.mark.parametrize(("words", "line"), [
    ("evaluate", "required: run; `seqkit evaluate --help` says more"),
    ("predict runs/x", "required: INPUT; "),
    ("evaluate runs/x --split tests", "argument --split: invalid choice: 'tests' (choose from 'valid', 'test'); "),
    ("generate runs/x --length ten", "argument --length: invalid int value: 'ten'; "),
])  # fmt: skip
def test_wrong_usage_is_one_line(words, line, capsys):
    assert run(words.split()) == 2
    [printed] = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"seqkit: {line}")
