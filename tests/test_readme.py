"""What the README says, done."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_python_examples(monkeypatch):
    shorter = {"trainer.max_steps=200": "trainer.max_steps=3", "model.hidden_size=64": "model.hidden_size=4"}
    for block in BLOCKS:
        if "register_cell" not in block:
            for long, short in shorter.items():
                block = block.replace(long, short)
            exec(block, {})


def test_a_plugin_is_one_script():
    [source] = [block for block in BLOCKS if "register_cell" in block]
    assert len([line for line in source.splitlines() if line]) <= 20
    Path("mgu.py").write_text(source)

    def script(*words):
        return subprocess.run([sys.executable, "mgu.py", *words], capture_output=True, text=True)

    assert "model.num_layers=1" in script("describe", "model=mgu").stdout
    few = ["data.length=8", "data.train_size=64", "data.valid_size=8", "data.test_size=8", "trainer.max_steps=3"]
    trained = script(
        "train", "experiment=adding", "model=mgu", "model.hidden_size=4", "model.num_layers=2", *few, "id=a"
    )
    assert trained.returncode == 0, trained.stderr
    scores = [
        script(*words).stdout
        for words in (("evaluate", "runs/adding/a"), ("evaluate", "runs/adding/a", "--batch-size", "3"))
    ]
    assert scores[0] == scores[1] != ""
    assert "model.hiden_size" not in script("train", "model=mgu", "model.hiden_size=3").stdout
    wrong = script("train", "model=mgu", "model.hiden_size=3").stderr
    assert wrong.splitlines()[-1].startswith("seqkit: no option 'hiden_size' in model=mgu. Did you mean 'hidden_size'?")


def test_every_experiment_and_command_named_exists():
    from seqkit.__main__ import COMMANDS
    from seqkit.commands.list import inventory

    everything = inventory()
    assert set(re.findall(r"experiment=(\w+)", README)) <= set(everything["experiment"])
    assert set(re.findall(r"^ *seqkit (\w+)", README, re.M)) <= set(COMMANDS)
    for kind in ("model", "data", "logger"):
        named = {name for names in re.findall(rf"\b{kind}=([\w,]+)", README) for name in names.split(",")}
        assert named <= set(everything[kind]) | {"mgu"}
