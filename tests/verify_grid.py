"""Exact resume over a grid: ``seqkit verify-resume`` for each of GRID, as a Markdown table.

    make verify-grid        # some 20 minutes on two idle cores; what is in the file already is not run again

A row names data, model, workers, ranks, precision and accumulation; every training is killed at each of its moments
(all kinds for one rank, four for two ranks, in turn), started again and compared to the bit.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from seqkit.__main__ import run
from seqkit.hydra_cli import compose
from seqkit.verifying import default_points
from seqkit.verifying.points import intervals

STEPS = 12
MGU = Path(__file__).parents[1] / "plugins" / "seqkit-mgu" / "seqkit_mgu"


class Row(NamedTuple):
    """One training of the grid."""

    data: str
    model: str
    workers: int
    ranks: int
    precision: str
    accumulation: int


GRID = [
    Row("text", "lstm", 0, 1, "32-true", 1),
    Row("text", "peephole_lstm", 2, 1, "bf16-mixed", 2),
    Row("text", "mgu", 0, 1, "64-true", 1),
    Row("series", "peephole_lstm", 0, 1, "32-true", 2),
    Row("series", "gru", 2, 1, "64-true", 1),
    Row("audio", "lstm", 2, 1, "bf16-mixed", 1),
    Row("audio", "gru", 0, 1, "32-true", 2),
    Row("audio", "mgu", 2, 1, "32-true", 1),
    Row("text", "lstm", 2, 2, "32-true", 2),
    Row("text", "gru", 0, 2, "bf16-mixed", 1),
    Row("series", "mgu", 0, 2, "64-true", 2),
    Row("series", "peephole_lstm", 2, 2, "32-true", 1),
    Row("audio", "lstm", 0, 2, "64-true", 1),
]


def data(name: str, folder: Path) -> list[str]:
    """Return the overrides of tiny data of a kind; an epoch ends within the training."""
    text = folder / "text.txt"
    text.write_text("".join(f"line {i} of a text that is {i * i} long\n" for i in range(120)))
    return {
        "text": ["data=text_files", f"data.path={text}", "data.split=[0.7,0.15,0.15]", "data.batch_size=4",
                 "data.seq_len=64", "data.eval_streams=2"],
        "series": ["data=sea_temperature", "data.lookback=8", "data.horizon=2", "data.split=[200,40,40]",
                   "data.batch_size=24"],
        "audio": ["data=morse", "data.train_size=26", "data.valid_size=8", "data.test_size=4", "data.words=[1,1]",
                  "data.batch_size=4"],
    }[name]  # fmt: skip


def overrides(row: Row, folder: Path) -> list[str]:
    """Return what ``seqkit verify-resume`` is called with for a row."""
    words = ["--plugin", str(MGU)] if row.model == "mgu" else []
    return [
        *words, *data(row.data, folder), f"model={row.model}", "model.hidden_size=6", "model.num_layers=2",
        "model.dropout=0.3", "optimizer.lr=0.01", "scheduler.warmup=3", "trainer.accelerator=cpu",
        f"trainer.num_workers={row.workers}", f"trainer.devices={row.ranks}", f"trainer.precision={row.precision}",
        f"trainer.accumulate_grad_batches={row.accumulation}", f"runs={folder}",
    ]  # fmt: skip


def points(row: Row, number: int) -> list[str]:
    """Return the moments of a row: all kinds for one rank, four of them for several, in turn."""
    validation, checkpoint = intervals(STEPS)
    options = [
        f"trainer.max_steps={STEPS}", f"trainer.val_check_interval={validation}",
        f"trainer.checkpoint_every_n_steps={checkpoint}", f"trainer.accumulate_grad_batches={row.accumulation}",
    ]  # fmt: skip
    every = default_points(compose(options), row.ranks)
    if row.ranks == 1:
        return every
    return [every[(4 * number + step) % len(every)] for step in range(4)]


def verify(row: Row, number: int) -> dict[str, Any]:
    """Return the outcome of a row, as ``verify-resume --json`` prints it."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()) as out:
        words = overrides(row, Path(folder))
        run(["verify-resume", *words, "--steps", str(STEPS), "--points", ";".join(points(row, number)), "--json"])
    return json.loads(out.getvalue())


def table(outcomes: dict[str, Any]) -> str:
    """Return the outcomes by row and by moment, as Markdown."""
    lines = ["| data | model | workers | ranks | precision | accumulation | kills | bit-equal |", "|" + "---|" * 8]
    kinds: dict[str, Counter] = {}
    differences = []
    for key, outcome in outcomes.items():
        tried = [point for point in outcome["points"] if point["reached"]]
        equal = sum(not point["difference"] for point in tried)
        lines.append(f"| {' | '.join(key.split())} | {len(tried)} | {equal} |")
        for point in tried:
            signal, _, moment = point["point"].partition("@")
            counts = kinds.setdefault(f"{signal} {moment.partition(',')[0].partition('=')[0]}", Counter())
            counts.update(tried=1, equal=not point["difference"])
            if point["difference"]:
                differences.append(f"- {key}, {point['point']}: {point['difference']}")
    lines += ["", "| moment | kills | bit-equal |", "|---|---|---|"]
    lines += [f"| {kind} | {counts['tried']} | {counts['equal']} |" for kind, counts in kinds.items()]
    total = sum(kinds.values(), Counter())
    return "\n".join([*lines, "", f"{total['equal']} of {total['tried']} bit-equal", *differences])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON of the outcomes, which is added to")
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2], help="rows with so many ranks only")
    arguments = parser.parse_args()
    outcomes = json.loads(arguments.file.read_text()) if arguments.file.exists() else {}
    for number, row in enumerate(GRID):
        key = " ".join(map(str, row))
        if key in outcomes or row.ranks not in arguments.ranks:
            continue
        outcomes[key] = verify(row, number)
        arguments.file.write_text(json.dumps(outcomes, indent=1) + "\n")
        print(f"{key}: {'bit-equal' if outcomes[key]['equal'] else 'DIFFERS'}", file=sys.stderr, flush=True)
    print(table(outcomes))
    return 0 if all(outcome["equal"] for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
