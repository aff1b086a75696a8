"""What the README says, done."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests import pages

BLOCKS = pages.blocks(pages.README, "python")


def test_python_examples(monkeypatch):
    shorter = {"trainer.max_steps=200": "trainer.max_steps=3", "model.hidden_size=64": "model.hidden_size=4"}
    for block in BLOCKS:
        if "register_cell" not in block:
            for long, short in shorter.items():
                block = block.replace(long, short)
            exec(block, {})


def test_a_plugin_is_one_file():
    [source] = [block for block in BLOCKS if "register_cell" in block]
    assert len([line for line in source.splitlines() if line]) <= 20
    Path("mgu.py").write_text(source)

    named = commands("""
assert run(["--plugin", "mgu.py", "describe", "model=mgu"]) == 0
assert run(["--plugin", "mgu.py", "train", "experiment=adding", "model=mgu", "model.hidden_size=4", "model.num_layers=2",
     "model.zoneout=0.1", "model.layer_norm=true", "data.length=8", "data.train_size=64", "data.valid_size=8",
     "data.test_size=8", "trainer.max_steps=3", "id=a"]) == 0
assert run(["--plugin", "mgu.py", "train", "model=mgu", "model.hiden_size=3"]) == 1
""")
    assert "model.num_layers=1" in named.stdout
    assert named.stderr.splitlines()[-1].startswith(
        "seqkit: no option 'hiden_size' in model=mgu. Did you mean 'hidden_size'?"
    )
    # The plugin comes from the record of the run alone.
    exported = commands("""assert run(["export", "runs/adding/a"]) == 0""")
    assert "2 x a scan over MGU.step; differs from the network by at most" in exported.stdout
    found = commands("""
assert run(["evaluate", "runs/adding/a", "--batch-size", "3", "--json"]) == 0
import sys
sys.path.insert(0, "")  # as in a notebook
import mgu, seqkit, torch
trained = seqkit.load("runs/adding/a")
rows = torch.rand(8, 2)
with seqkit.record_gates(trained.network) as gates:
    whole = trained.predict(rows.numpy())
stream = trained.stream()
for row in rows:
    last = stream.feed(row)
assert gates["layer1.forward.gate.candidate"].shape == (1, 8, 4), list(gates)
print(whole[0]["values"], last["values"])
""")
    report = json.loads(Path("runs/adding/a/report.json").read_text())
    scores, _ = json.JSONDecoder().raw_decode(found.stdout)
    assert scores["model"] == report["test"]
    whole, last = (float(number) for number in re.findall(r"-?\d+\.\d+", found.stdout.splitlines()[-1]))
    assert abs(whole - last) < 1e-6


def commands(script):
    """Return what a new process that runs commands of seqkit has said."""
    script = f"from seqkit.__main__ import run\n{script}"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
