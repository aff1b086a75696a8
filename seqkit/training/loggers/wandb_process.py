"""The process that talks to Weights & Biases; run as a script, with one JSON message per line on standard input.

It imports nothing of seqkit. Its standard output is the reason why it ended, if it did so early; what a user should
know goes to standard error.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import wandb

START_SECONDS = 20.0  # for a server to answer; the training does not wait for it


def main() -> None:
    """Open the run, log what comes, finish at the end of the input."""
    opening = json.loads(sys.stdin.readline())
    run, online = open_run(opening)
    first = run.starting_step if online else 0  # the server has all steps before
    step, row = first, dict[str, Any]()
    exit_code = 255  # killed
    for line in sys.stdin:
        message = json.loads(line)
        if "metrics" in message:
            if message["step"] < step:
                continue
            if row and message["step"] > step:
                run.log(row, step=step)
                row = {}
            step = message["step"]
            row |= message["metrics"]
        elif "figures" in message:
            publish(run, {**row}, step, message)
            row = {}
        else:
            exit_code = message["finish"]
    give_up = Timer(opening["wait"], os._exit, (1,))
    give_up.daemon = True
    give_up.start()
    if row and not online:
        # Online the last step of a start waits for the next one: its validation may be missing, and a step that the
        # server has is never changed.
        run.log(row, step=step)
    run.finish(exit_code)
    give_up.cancel()


def open_run(opening: dict[str, Any]) -> tuple[Any, bool]:
    """Open the wandb run, offline if the server cannot be reached or has another run of this id; and say which."""
    folder = Path(opening["folder"], "wandb")
    earlier = [*folder.glob("*run-*-*")]
    options = {**opening["run"], "dir": opening["folder"], "reinit": "create_new"}
    settings = wandb.Settings(silent=True, init_timeout=START_SECONDS, x_stats_pid=opening["pid"])
    if opening["mode"] == "online":
        try:
            run = wandb.init(**options, mode="online", resume="allow" if earlier else "never", settings=settings)
            set_aside(folder, [path for path in earlier if path.name.startswith("offline-")])
            return run, True
        except Exception as error:
            reason = " ".join(str(error).split())
            print(f"wandb: {reason}; so logging offline; later: {opening['later']}", file=sys.stderr)
            wandb.teardown()  # its service still holds the id
    set_aside(folder, list(folder.glob("offline-run-*")))
    return wandb.init(**options, mode="offline", settings=settings), False


def set_aside(folder: Path, starts: list[Path]) -> None:
    """Move the files of earlier offline starts out of the way of `wandb sync`: the new one holds all they hold.

    `wandb sync` would append them to each other, and refuses them all where a kill has left one without content.
    """
    if starts:
        aside = folder / "earlier"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for start in starts:
            start.rename(aside / start.name)


def publish(run: Any, row: dict[str, Any], step: int, message: dict[str, Any]) -> None:
    """Log the last row with the figures, the scores as summary, and the checkpoint as artifact."""
    row |= {Path(figure).stem: wandb.Image(figure) for figure in message["figures"]}
    if row:
        run.log(row, step=step)
    run.summary.update({f"test/{name}": value for name, value in message["scores"].items()})
    if message["model"]:
        artifact = wandb.Artifact(message["model"]["name"], type="model")
        artifact.add_file(message["model"]["path"])
        run.log_artifact(artifact)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        os._exit(1)
