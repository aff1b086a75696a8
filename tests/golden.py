"""Goldens of every experiment on tiny data: what a change of structure must leave as it is, bit for bit.

``make golden`` compares this tree with the goldens of another one made on the same machine; no test asserts another
machine's bits::

    make golden-make        # in the tree before the change
    make golden             # in the tree after it

Recorded for each experiment: the first five training losses, a hash of the final weights, the numbers of the report,
and the resolved config.
"""

import argparse
import json
import os
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import torch

import seqkit
from seqkit.__main__ import run
from tests.test_experiments import TINY

STEPS = ["trainer.max_steps=6", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"]
OWN = ["trainer.accelerator=cpu", "id=golden"]


def golden(name: str) -> dict[str, Any]:
    """Train one experiment in an empty folder and return what is compared."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()):
        make_overrides, _ = TINY[name]
        assert run(["train", f"experiment={name}", *make_overrides(), *STEPS, *OWN]) == 0
        place = Path("runs", name, "golden")
        rows = (line.split(",") for line in (place / "metrics.csv").read_text().splitlines())
        losses = [value for _, metric, value in rows if metric == "train/loss"][:5]
        report = json.loads((place / "report.json").read_text())
        weights = seqkit.load(place / "checkpoints" / "last.ckpt", "cpu").network.state_dict()
        digest = sha256(b"".join(weight.contiguous().numpy().tobytes() for weight in weights.values()))
        config = json.loads((place / "config.json").read_text())["config"]
        return {
            "losses": losses,
            "weights": digest.hexdigest(),
            "test": report["test"],
            "valid": report["valid"],
            "baselines": report["baselines"],
            "config": json.loads(json.dumps(config).replace(str(Path(folder).resolve()), "")),
        }


def differences(old: Any, new: Any, where: str) -> list[str]:
    """Return one line for each value that is not the same in both."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{where}.{key}")]
    return [] if old == new else [f"{where}: was {old}, is {new}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("make", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", nargs="*", default=sorted(TINY), help="experiments")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.pop("SLURM_JOB_ID", None)
    os.environ["SEQKIT_MEASURE"] = "0"  # which backend is the fastest is no property of the code
    found = {name: golden(name) for name in arguments.only}
    if arguments.action == "make":
        arguments.file.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{len(found)} goldens in {arguments.file}")
        return 0
    saved = json.loads(arguments.file.read_text())
    lines = [line for name in found for line in differences(saved.get(name), found[name], name)]
    print("\n".join(lines) if lines else f"{len(found)} goldens identical")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
