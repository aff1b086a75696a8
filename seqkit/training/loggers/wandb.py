"""Weights & Biases, from a process of its own: whatever becomes of it, the training neither ends nor waits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

from pydantic import PositiveFloat

from seqkit.errors import ConfigError, shown
from seqkit.registry import register_logger

LONGEST_ID = 128  # characters, of wandb
STOP_SECONDS = 10.0  # what a stopped run waits for wandb: a scheduler kills soon after its signal
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}


@register_logger("wandb")
class Wandb:
    """Weights & Biases; the wandb run has the id NAME-ID of the run's folder, and a resumed run continues its curve.

    Args:
        folder: Of the run.
        config: Of the run.
        project: wandb project; null is that of WANDB_PROJECT, else seqkit.
        entity: wandb user or team; null is the account's default.
        mode: ``auto`` is online where an API key is found, else offline; it never asks for one. Online without a
            network goes on offline.
        group: Runs that wandb shows together; null puts the jobs of a sweep together.
        tags: Of the wandb run.
        notes: Of the wandb run.
        log_model: Whether the best checkpoint is stored as an artifact at the end.
        wait: Seconds for which the end of a run waits until everything is sent.
    """

    replays = True  # the process leaves out what the server has

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        *,
        project: str | None = None,
        entity: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
        group: str | None = None,
        tags: tuple[str, ...] = (),
        notes: str | None = None,
        log_model: bool = False,
        wait: PositiveFloat = 30.0,
    ) -> None:
        if mode == "online" and not _api_key():
            raise ConfigError("logger.mode=online needs an API key: run `wandb login` or set WANDB_API_KEY")
        reason = offline_reason() if mode == "auto" else ""
        if reason:
            print(f"wandb: {reason}, so logging offline; later: wandb sync {upload(folder)}", file=sys.stderr)
        self._folder, self._log_model, self._wait = folder, log_model, wait
        self._published = False
        self._messages: SimpleQueue[Any] = SimpleQueue()
        self._process = self._start()
        Thread(target=self._send, daemon=True).start()
        self._messages.put(
            {
                "folder": str(folder),
                "later": f"wandb sync {upload(folder)}",
                "mode": "offline" if reason else mode.replace("auto", "online"),
                "pid": os.getpid(),
                "wait": wait,
                "run": {
                    "id": run_id(config["name"], folder.name),
                    "name": f"{config['name']}/{folder.name}",
                    "project": project or os.environ.get("WANDB_PROJECT") or "seqkit",
                    "entity": entity,
                    "group": group or sweep_of(folder),
                    "tags": tags or None,
                    "notes": notes,
                    "config": config,
                },
            }
        )

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Hand over the metrics of a step; raises once the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(self._last_words())
        self._messages.put({"step": step, "metrics": metrics})

    def publish(self, report: dict[str, Any], figures: Sequence[Path], checkpoint: Path) -> None:
        """Hand over scores, figures and, if asked, the checkpoint."""
        files = {"figures": [str(figure) for figure in figures]}
        model = {"name": f"{report['name']}-{self._folder.name}", "path": str(checkpoint)} if self._log_model else None
        self._messages.put({"scores": report["test"], **files, "model": model})
        self._published = True

    def finalize(self, status: str) -> None:
        """Wait until everything is written or sent, but not for long."""
        self._messages.put({"finish": 0 if self._published else 255})  # which wandb shows as finished and as killed
        self._messages.put(None)
        seconds = self._wait if self._published else min(self._wait, STOP_SECONDS)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.abandon()
            again = f"later, where there is a network: seqkit resume {shown(self._folder)}"
            again += " --report" if self._published else ""
            raise TimeoutError(f"not everything was sent within {seconds:g} s; {again}") from None
        if code:
            raise RuntimeError(self._last_words())

    def abandon(self) -> None:
        """End the process."""
        self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        """Start the process with the signals blocked that a scheduler sends to every process of a job."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("wandb_process.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _send(self) -> None:
        """Write messages to the process as it takes them; it may be slow, or hang."""
        assert self._process.stdin
        try:
            with self._process.stdin as pipe:
                for message in iter(self._messages.get, None):
                    pipe.write(json.dumps(message) + "\n")
                    pipe.flush()
        except OSError:
            pass  # it has ended, which the next call tells

    def _last_words(self) -> str:
        assert self._process.stdout
        return self._process.stdout.read().strip() or f"its process ended with {self._process.returncode}"


def run_id(name: str, folder: str) -> str:
    """Return the id of a wandb run: NAME-ID, its end replaced by a hash where it is too long for wandb."""
    whole = f"{name}-{folder}"
    if len(whole) <= LONGEST_ID:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{whole[: LONGEST_ID - 13]}-{digest}"


def sweep_of(folder: Path) -> str | None:
    """Return the id of the sweep that a run's folder RUNS/NAME/SWEEP-NUMBER belongs to; None where there is none."""
    sweep, _, number = folder.name.rpartition("-")
    ledger = folder.parent.parent / "sweeps" / sweep / "sweep.json"
    return sweep if sweep and number.isdigit() and ledger.is_file() else None


def upload(folder: Path) -> str:
    """Return the arguments of `wandb sync` that upload the run in a folder: its last start holds all of it."""
    return f"{shown(folder / 'wandb')}/offline-run-*"


def offline_reason() -> str:
    """Return why ``mode=auto`` logs to Weights & Biases offline; an empty string where it logs online."""
    wanted = os.environ.get("WANDB_MODE", "online")
    if wanted != "online":
        return f"WANDB_MODE={wanted}"
    return "" if _api_key() else "no API key"


def _api_key() -> str | None:
    return os.environ.get("WANDB_API_KEY") or _stored_key()


def _stored_key() -> str | None:
    """Return the API key of the netrc file, where `wandb login` puts it."""
    import netrc
    from urllib.parse import urlparse

    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return entry[2] if entry else None
