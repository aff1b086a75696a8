"""wandb: one complete curve per run, and a training that neither ends nor waits with it."""

import io
import json
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.registry import build
from seqkit.runs.metrics_csv import MetricsWriter, read_metrics
from seqkit.training.loggers import Loggers, Wandb
from seqkit.training.loggers.wandb import run_id, sweep_of
from tests.conftest import TINY
from tests.training.loggers.wandb_files import history, records

PATIENCE = 300.0  # seconds, on a busy machine


@pytest.fixture(autouse=True)
def _no_account(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("seqkit.training.loggers.wandb.STOP_SECONDS", PATIENCE)


def uploaded(folder: Path) -> Path:
    """Return the file of the run that the printed `wandb sync` uploads."""
    [file] = folder.glob("wandb/offline-run-*/*.wandb")
    return file


def curve(path: Path) -> list[tuple[int, dict[str, float]]]:
    return [
        (row.pop("step"), {name: value for name, value in row.items() if name.partition("/")[0] in ("train", "valid")})
        for row in history(path)
    ]


def metrics(folder: Path) -> list[tuple[int, dict[str, float]]]:
    rows = read_metrics(folder / "metrics.csv")
    return [(step, {name: value for _, name, value in group}) for step, group in groupby(rows, key=lambda row: row[0])]


def test_without_a_key_a_run_is_logged_offline_and_nothing_is_asked(capfd):
    assert (
        run(["train", *TINY, "id=a", "logger=wandb", f"logger.wait={PATIENCE}", "logger.tags=[x]", "logger.group=g"])
        == 0
    )
    folder = Path("runs/tiny/a")
    hint = f"wandb: no API key, so logging offline; later: wandb sync {folder}/wandb/offline-run-*"
    assert hint in capfd.readouterr().err
    file = uploaded(folder)
    assert curve(file) == metrics(folder)
    [about] = [record.run for record in records(file) if record.HasField("run")]
    assert (about.run_id, about.display_name, about.project) == ("tiny-a", "tiny/a", "seqkit")
    assert (about.run_group, list(about.tags)) == ("g", ["x"])
    assert {path.name.partition("_")[0] for path in file.parent.rglob("*.png")} == {"forecast", "learning"}
    [end] = [record.exit for record in records(file) if record.HasField("exit")]
    assert end.exit_code == 0


def test_a_killed_run_that_goes_on_is_one_curve(halfway):
    def start(steps, checkpoint=None):
        writer = MetricsWriter(halfway / "metrics.csv", keep=checkpoint or -1)
        logger = build("logger", {"name": "wandb", "wait": PATIENCE}, halfway, {"name": "tiny"})
        loggers = Loggers(writer, logger, checkpoint)
        for step in steps:
            loggers.log_metrics({"train/loss": 1 / step}, step)
            if step % 2 == 0:
                loggers.log_metrics({"valid/loss": 2 / step}, step)
        return loggers, logger

    _, logger = start(range(1, 6))
    logger._messages.put(None)  # what the end of the training process does to the pipe
    assert logger._process.wait(PATIENCE) == 0
    uploaded(halfway).write_bytes(uploaded(halfway).read_bytes()[:7])  # where wandb-core has died with it
    loggers, logger = start(range(4, 9), checkpoint=3)
    loggers.close()
    assert logger._process.returncode == 0
    assert [step for step, _ in metrics(halfway)] == [*range(1, 9)]
    assert curve(uploaded(halfway)) == metrics(halfway)


@pytest.fixture
def other(monkeypatch):
    """Return a function that makes another Python program stand in for the process."""

    def stand_in(program: str):
        def start(self):
            return subprocess.Popen(
                [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

        monkeypatch.setattr(Wandb, "_start", start)

    return stand_in


def test_a_process_that_ends_is_one_warning_and_the_training_goes_on(other, capsys):
    other("print('ConnectionResetError: Connection lost'); exit(1)")
    assert run(["train", *TINY, "id=a", "logger=wandb"]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert line.startswith("Wandb failed and is dropped (RuntimeError: ConnectionResetError: Connection lost")


def test_a_process_that_hangs_is_ended_after_a_while(other):
    other("import signal; signal.pause()")
    logger = build("logger", {"name": "wandb", "wait": 0.1}, Path("runs/a/b"), {"name": "a"})
    for step in range(3000):
        logger.log_metrics({"train/loss": 0.5, "text": "x" * 100}, step)  # more than a pipe holds
    with pytest.raises(TimeoutError, match=r"within 0.1 s; later, where there is a network: seqkit resume runs/a/b$"):
        logger.finalize("success")
    assert logger._process.wait(PATIENCE) == -signal.SIGKILL


def test_a_signal_to_every_process_of_a_job_leaves_it(tmp_path):
    logger = build("logger", {"name": "wandb", "wait": PATIENCE}, tmp_path, {"name": "a"})
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        logger._process.send_signal(number)
    logger.log_metrics({"train/loss": 0.5}, 1)
    logger.finalize("success")
    assert curve(uploaded(tmp_path)) == [(1, {"train/loss": 0.5})]


def test_online_needs_a_key():
    with pytest.raises(
        ConfigError, match="logger.mode=online needs an API key: run `wandb login` or set WANDB_API_KEY"
    ):
        build("logger", {"name": "wandb", "mode": "online"}, Path(), {"name": "x"})


def test_an_id_that_is_too_long_ends_in_a_hash():
    assert run_id("morse", "a") == "morse-a"
    one, other = run_id("n" * 100, "i" * 100), run_id("n" * 100, "i" * 101)
    assert len(one) == len(other) == 128
    assert one != other


def test_the_group_is_the_sweep(tmp_path):
    (tmp_path / "sweeps/20261128-1").mkdir(parents=True)
    (tmp_path / "sweeps/20261128-1/sweep.json").touch()
    assert sweep_of(tmp_path / "morse/20261128-1-3") == "20261128-1"
    assert sweep_of(tmp_path / "morse/20261128-1") is None
    assert sweep_of(tmp_path / "morse/a") is None


class Server:
    """Stands for wandb and its server, which has the steps before ``first``."""

    def __init__(self, first: int, refusal: str = "") -> None:
        self.starting_step, self.refusal = first, refusal
        self.opened: list[dict] = []
        self.rows: list[tuple[int, dict]] = []
        self.exit_code: int | None = None
        self.holds_the_id = False  # as wandb's service does after a refusal

    def init(self, **options):
        self.opened.append(options)
        if self.refusal and options["mode"] == "online":
            self.holds_the_id = True
            raise ConnectionError(self.refusal)
        assert not self.holds_the_id
        return self

    def teardown(self):
        self.holds_the_id = False

    def log(self, row, step):
        self.rows.append((step, row))

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def talk(monkeypatch):
    """Return a function that runs the process here, with a server and messages."""
    from seqkit.training.loggers import wandb_process

    def talk(server, *messages):
        opening = {"folder": ".", "later": "wandb sync it", "mode": "online", "pid": 1, "wait": 60, "run": {"id": "a"}}
        lines = "".join(json.dumps(message) + "\n" for message in (opening, *messages))
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        monkeypatch.setattr(wandb_process.wandb, "init", server.init)
        monkeypatch.setattr(wandb_process.wandb, "teardown", server.teardown)
        wandb_process.main()

    return talk


ROWS = [{"step": step, "metrics": {"train/loss": step / 8}} for step in range(1, 7)]


def test_online_a_first_start_does_not_mix_with_a_run_of_another_folder(talk):
    talk(server := Server(0), *ROWS, {"finish": 255})
    assert [(opened["id"], opened["resume"]) for opened in server.opened] == [("a", "never")]


def test_online_nothing_that_the_server_has_is_sent_again(talk):
    Path("wandb/run-20261128_000000-a").mkdir(parents=True)
    Path("wandb/offline-run-20261128_000001-a").mkdir()
    talk(server := Server(4), *ROWS, {"step": 6, "metrics": {"valid/loss": 1.0}}, {"finish": 255})
    assert [opened["resume"] for opened in server.opened] == ["allow"]
    assert [step for step, _ in server.rows] == [4, 5]  # 6 comes again, perhaps with more
    assert server.exit_code == 255
    assert not [*Path("wandb").glob("offline-run-*")]


def test_online_without_a_network_goes_on_offline(talk, capsys):
    talk(server := Server(0, refusal="no route\nto host"), *ROWS, {"finish": 255})
    assert [opened["mode"] for opened in server.opened] == ["online", "offline"]
    assert [step for step, _ in server.rows] == [1, 2, 3, 4, 5, 6]
    assert capsys.readouterr().err == "wandb: no route to host; so logging offline; later: wandb sync it\n"
