"""What a text of 10 GB costs over one of 10 MB: to tokenise, to start with, in memory and per step.

    python benchmarks/large_text.py FOLDER [--data FILE] [--bytes 10_000_000_000] [--tokenizer byte] [--rounds 9]
        [--steps 60] [--threads 2] [--json FILE]

Writes small.txt (10 MB) and large.txt into FOLDER/large_text, unless they are there from the same ``--data`` and
``--bytes``: the lines of that file, or of the source of this Python's library, in a random order again and again. Each
is trained on twice by ``seqkit train experiment=text`` for one step, with a cache of its own there that is empty at
first: seconds from the start of the process to the end of its first step, tokenising included the first time, and the
most memory that it and its own processes held together (their own pages; those mapped from files are given back where
there is need). Steps per second are those of whole trainings in this process, of both texts in turns. On Linux.
"""

import argparse
import json
import logging
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from overhead import WARMUP, seqkit_rate  # beside this script
from parallel import processor
from text_lm import library_source

from seqkit.hydra_cli import compose
from seqkit.registry import build
from seqkit.runs.backends import backends_of_run

SMALL = 10_000_000  # bytes
PART = 100_000  # bytes of the validation and of the test part


def write(place: Path, lines: list[str], size: int) -> None:
    """Write lines in a random order, again and again, until there are ``size`` bytes."""
    draw, written = random.Random(0), 0
    with open(place, "w", encoding="utf-8", newline="") as file:
        while written < size:
            draw.shuffle(lines)
            for line in lines:
                written += len(line.encode())
                file.write(line)
                if written >= size:
                    break


def options(folder: Path, name: str, tokenizer: str, steps: int) -> list[str]:
    """Return what a training on one of the texts is asked for."""
    return [
        "experiment=text", f"data.train={folder / name}", f"data.valid={folder / 'part.txt'}",
        f"data.test={folder / 'part.txt'}", f"data.tokenizer={tokenizer}", f"trainer.max_steps={steps}",
        "trainer.max_epochs=null", "trainer.accelerator=cpu",
    ]  # fmt: skip


def start(folder: Path, name: str, tokenizer: str) -> tuple[float, float]:
    """Return the seconds to the first step of a training in a process of its own, and the most MB that it held."""
    runs = folder / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    command = [sys.executable, "-m", "seqkit", "train", *options(folder, name, tokenizer, 1), f"runs={runs}", "id=x"]
    command += ["trainer.log_every_n_steps=1", "trainer.limit_val_batches=1"]
    started, first, most = time.perf_counter(), 0.0, 0.0
    metrics = runs / "text" / "x" / "metrics.csv"
    with open(folder / "start.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            if not first and metrics.exists() and metrics.read_text().count("\n") > 1:
                first = time.perf_counter() - started
            most = max(most, held(process.pid))
            time.sleep(0.1)
    if process.returncode or not first:
        raise SystemExit(Path(folder, "start.log").read_text())
    return first, most


def held(pid: int) -> float:
    """Return the MB of anonymous memory of a process and all that it has started."""
    try:
        pages = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return 0.0
    own = sum(int(line.split()[1]) for line in pages if line.startswith("Pss_Anon:"))  # shared ones in equal parts
    return own / 2**10 + sum(held(int(child)) for child in children)


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="text file (default: the source of this Python's library)")
    parser.add_argument("--bytes", type=int, default=10_000_000_000, help="of the large text")
    parser.add_argument("--tokenizer", default="byte")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve() / "large_text"
    texts_json = folder / "texts.json"  # what the texts are made of, {} until all are whole
    if folder.exists() and not texts_json.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder}: not a folder that this benchmark has made; remove it, or give another FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as other:
        lines = (arguments.data or library_source(other)).read_text(encoding="utf-8").splitlines(keepends=True)
    sizes = {"part.txt": PART, "small.txt": SMALL, "large.txt": arguments.bytes}
    made_of = {"sizes": sizes, "lines": sha256("".join(lines).encode()).hexdigest()}
    if not texts_json.exists() or json.loads(texts_json.read_text()) != made_of:
        texts_json.write_text("{}")
        for name, size in sizes.items():
            write(folder / name, lines, size)
        texts_json.write_text(json.dumps(made_of))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    found: dict[str, Any] = {"machine": f"{processor('cpu')}, {arguments.threads} threads, torch {torch.__version__}, "}
    found["machine"] += f"Python {platform.python_version()}"
    print(found["machine"])
    texts = "small.txt", "large.txt"
    for number in ("first", "second"):
        for name in texts:
            seconds, megabytes = start(folder, name, arguments.tokenizer)
            found[f"{name}, {number} start"] = {"seconds": seconds, "MB": megabytes}
            print(f"{name}: {number} start, first step after {seconds:.1f} s, {megabytes:,.0f} MB at most", flush=True)
    sides = {}
    for name in texts:
        config = compose(options(folder, name, arguments.tokenizer, arguments.steps + WARMUP))
        data = build("data", config["data"])
        data.setup()
        sides[name] = config, data, backends_of_run(config, data, torch.device("cpu"), 1000, None)
    rounds = []
    for number in range(arguments.rounds):
        rates = {name: seqkit_rate(*sides[name]) for name in (texts if number % 2 else texts[::-1])}
        rounds.append({**rates, "ratio": rates["large.txt"] / rates["small.txt"]})
    found |= {"rounds": rounds, **{name: statistics.median(one[name] for one in rounds) for name in rounds[0]}}
    print(
        f"steps per second: small.txt {found['small.txt']:.2f}, large.txt {found['large.txt']:.2f}, "
        f"median of the ratios {found['ratio']:.3f}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
