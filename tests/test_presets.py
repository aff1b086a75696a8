"""Presets on components that they were not written for."""

import json
import sys
from pathlib import Path

import pytest

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.hydra_cli import compose
from seqkit.plugins import loading

TINY = ["data.length=4", "data.train_size=8", "data.valid_size=4", "data.test_size=4", "data.batch_size=4",
        "trainer.accelerator=cpu", "trainer.max_steps=1", "trainer.val_check_interval=1"]  # fmt: skip


@pytest.fixture
def _plugins(monkeypatch):
    """Two components without options of the built-in ones, for one test only."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})

    @seqkit.register_model("plain")
    class Plain:
        """No options but one."""

        def __init__(self, input_size: int, *, num_layers: int = 1) -> None: ...

    @seqkit.register_optimizer("signum")
    def signum(parameters, *, lr: float = 0.1):
        """Sign of the gradient."""


def preset(text: str, name: str = "mine") -> list[str]:
    path = Path("presets/experiment", f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# @package _global_\n{text}")
    return [f"experiment={name}", "--config-dir", "presets"]


@pytest.mark.usefixtures("_plugins")
def test_options_that_the_chosen_components_lack_are_left_out(capsys):
    config = compose(["experiment=adding", "model=plain", "optimizer=signum"])
    assert config["model"] == {"name": "plain", "num_layers": 1}
    assert config["optimizer"] == {"name": "signum", "lr": 0.02}  # the preset's, as there is such an option
    assert config["scheduler"]["warmup"] == 50
    assert capsys.readouterr().err.splitlines() == [
        "seqkit: experiment=adding: model.hidden_size=64 left out, as model=plain has no such option",
        "seqkit: experiment=adding: optimizer.beta2=0.99, optimizer.weight_decay=0 left out, as optimizer=signum has no "
        "such options",
    ]


def test_nothing_is_left_out_of_a_preset_s_own_components(capsys):
    assert compose(["experiment=timing"])["head"]["pooling"] == "last"
    assert compose(["experiment=timing", "head=classify", "model=lstm"])["model"]["forget_bias"] == 3
    assert capsys.readouterr().err == ""


def test_built_in_heads_and_data_change_places(capsys):
    config = compose(["experiment=timing", "head=forecast", "data=adding"])
    assert config["head"]["name"] == "forecast"
    assert config["data"]["batch_size"] == 32
    line = "seqkit: experiment=timing: head.pooling=last left out, as head=forecast has no such option\n"
    assert capsys.readouterr().err == line


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize("typed", ["model.hidden_size=64", "++model.hidden_size=64"])
def test_options_that_the_user_gives_are_refused_as_before(typed):
    with pytest.raises(ConfigError, match="no option 'hidden_size' in model=plain. Options: num_layers"):
        compose(["experiment=adding", "model=plain", typed])


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize("chosen", ["", "model=gru", "model=plain"])
def test_a_typo_in_a_preset_is_an_error_whatever_is_chosen(chosen, capsys):
    words = preset("defaults:\n  - override /model: lstm\nmodel:\n  hiden_size: 4\n")
    assert run(["train", *words, *chosen.split()]) == 1
    line = "seqkit: experiment=mine sets model.hiden_size: no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'?"
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize(("text", "line"), [
    ("model:\n  dropout: abc\n", "model.dropout=abc: not a number"),
    ("modle:\n  dropout: 0.1\n", "no setting 'modle'. Did you mean 'model'?"),
])  # fmt: skip
def test_a_wrong_value_or_setting_in_a_preset_is_refused_by_its_name(text, line, capsys):
    assert run(["train", *preset(text)]) == 1
    assert capsys.readouterr().err.startswith(f"seqkit: experiment=mine: {line}")


def test_a_preset_that_chooses_no_component_sets_options_of_the_default_one(capsys):
    assert run(["train", *preset("optimizer:\n  beta2: 0.5\n"), "optimizer=sgd", "--cfg", "job"]) == 0
    printed = capsys.readouterr()
    assert "beta2" not in printed.out
    assert "experiment=mine: optimizer.beta2=0.5 left out, as optimizer=sgd has no such option" in printed.err


@pytest.mark.usefixtures("_plugins")
def test_each_job_of_a_sweep_leaves_out_what_it_lacks(capsys):
    text = "defaults:\n  - override /data: adding\n  - override /optimizer: adamw\nmodel:\n  hidden_size: 4\noptimizer:\n  beta2: 0.9\n"
    assert run(["train", *preset(text), *TINY, "optimizer=adamw,sgd", "id=s", "-m"]) == 0, capsys.readouterr().err
    beta2 = [
        json.loads(Path("runs/adding", f"s-{job}", "config.json").read_text())["config"]["optimizer"].get("beta2")
        for job in (0, 1)
    ]
    assert beta2 == [0.9, None]
    assert capsys.readouterr().err.count("optimizer.beta2=0.9 left out, as optimizer=sgd") == 1


@pytest.mark.parametrize(("words", "out"), [
    ("--cfg job --package model.hidden_size", "64\n"),
    ("--cfg job --package scheduler", "name: cosine\nwarmup: 50\nfinal: 0.0\n"),
    ("--cfg=job model=gru -p model.name", "gru\n"),
])  # fmt: skip
def test_the_config_is_shown_in_part(words, out, capsys):
    assert run(["train", "experiment=adding", *words.split()]) == 0
    assert capsys.readouterr().out == out


def test_a_part_that_is_not_in_the_config(capsys):
    assert run(["train", "--cfg", "job", "--package", "modle"]) == 1
    assert capsys.readouterr().err == "seqkit: --package modle: not in the config\n"


@pytest.fixture
def _plugin_of_a_folder(monkeypatch):
    """Name a folder with a model and a preset as a plugin, for one test only."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("SEQKIT_HOME", "home")
    folder = Path("plugin")
    (folder / "conf/experiment").mkdir(parents=True)
    (folder / "preset_model.py").write_text(
        "import seqkit\n\n@seqkit.register_model('of_plugin')\nclass Model:\n    def __init__(self, input_size: int, *, "
        "width: int = 1): ...\n"
    )
    (folder / "conf/experiment/wide.yaml").write_text(
        "# @package _global_\n# A wide model.\ndefaults:\n  - override /model: of_plugin\nmodel:\n  width: 7\n"
    )
    before = dict(loading.loaded)
    monkeypatch.setenv("SEQKIT_PLUGINS", str(folder.absolute()))
    yield
    loading.loaded.clear()
    loading.loaded.update(before)
    sys.modules.pop("preset_model", None)


@pytest.mark.usefixtures("_plugin_of_a_folder")
def test_a_preset_of_a_plugin_is_fitted_listed_and_described(capsys):
    assert compose(["experiment=wide"])["model"] == {"name": "of_plugin", "width": 7}
    assert "width" not in compose(["experiment=wide", "model=gru"])["model"]
    line = "seqkit: experiment=wide: model.width=7 left out, as model=gru has no such option\n"
    assert capsys.readouterr().err == line
    assert run(["list", "experiment", "--json"]) == 0
    wide = json.loads(capsys.readouterr().out)["experiment"]["wide"]
    assert wide == {"provider": "preset_model.py", "summary": "A wide model."}
    assert run(["describe", "experiment=wide"]) == 0
    assert capsys.readouterr().out.endswith("model:\n  width: 7\n")
    assert run(["describe", "experiment=wode"]) == 1
    assert "Did you mean 'wide'?" in capsys.readouterr().err
