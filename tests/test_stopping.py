import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import seqkit
from seqkit.errors import Stopped
from seqkit.stopping import NAMES, StopRequest, TimeLimit, current, seconds, time_limits
from tests.conftest import TINY

TERM, USR1, INT = signal.SIGTERM, signal.SIGUSR1, signal.SIGINT


@pytest.fixture(autouse=True)
def calls():
    """Let the handlers before those under test note what reaches them, and end nothing."""
    reached: list[int] = []
    before = {number: signal.signal(number, lambda number, _: reached.append(number)) for number in (TERM, USR1, INT)}
    yield reached
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [TERM, USR1])
def test_outside_the_training_a_signal_acts_at_once(number, calls, tmp_path):
    request = StopRequest()
    with request.listening():
        with pytest.raises(Stopped) as stopped, request.of_run(tmp_path, True):
            send(number)
        assert (stopped.value.reason, stopped.value.step, stopped.value.folder) == (number.name, None, tmp_path)
        assert not isinstance(stopped.value, Exception)
        assert request.name == number.name  # should it have been swallowed
        send(number)  # the same one, passed on by a launcher as well
    send(number)
    assert calls == [number]


def test_inside_the_training_it_is_a_request(calls, capfd):
    request = StopRequest()
    for number in (USR1, TERM, INT):
        with request.training():
            send(number)
        assert request.name == number.name  # SIGTERM after SIGUSR1: the stop is final
        request.name = ""
    assert capfd.readouterr().err.count("once more stops at once") == 2
    assert calls == []


def test_a_second_one_acts_at_once(monkeypatch):
    request, now = StopRequest(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with request.training():
        send(INT, INT, USR1)
        now[0] = 2.0
        with pytest.raises(KeyboardInterrupt):
            send(INT)
    request.name, killed = "", []
    with request.training():
        send(USR1)
        now[0] = 9.0
        send(USR1, TERM)
        assert request.name == "SIGTERM"
        now[0] = 11.0
        kill = os.kill
        monkeypatch.setattr(os, "kill", lambda *words: killed.append(words))
        kill(os.getpid(), TERM)
        assert killed == [(os.getpid(), TERM)]
        assert signal.getsignal(TERM) is signal.SIG_DFL


def test_ignored_interrupts_stay_ignored():
    signal.signal(INT, signal.SIG_IGN)
    with StopRequest().training():
        assert signal.getsignal(INT) is signal.SIG_IGN


def test_in_a_thread_handlers_stay():
    found = []

    def train():
        with StopRequest().training():
            found.append(signal.getsignal(TERM))

    before = signal.getsignal(TERM)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [before]


def test_the_current_request_is_that_of_the_command():
    request = StopRequest()
    with request.listening():
        assert current() is request
    assert current() is not request


@pytest.mark.parametrize("number", [TERM, USR1])
def test_the_python_api_stops_and_leaves_the_handlers(number, calls, monkeypatch):
    from seqkit.training.module import SequenceModule

    step = SequenceModule.training_step

    def signalled(self, batch, batch_idx):
        if batch_idx == 2:
            send(number)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SequenceModule, "training_step", signalled)
    with pytest.raises(Stopped, match=f"stopped by {number.name} at step 3, saved"):
        seqkit.train([*TINY, "trainer.val_check_interval=6", "id=a"])
    send(number)
    assert calls == [number]
    assert seqkit.train([*TINY, "trainer.val_check_interval=6", "id=a"])["best_step"] == 6


def test_before_the_imports_of_a_command(tmp_path):
    """A signal as soon as the first module of seqkit that is not light is imported: exit code 75, one line."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': os.kill(os.getpid(), signal.SIGUSR1)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from seqkit.__main__ import main\n"
        "main(['train', 'experiment=adding'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    line = "seqkit: stopped by SIGUSR1; before its run was opened; go on with the same command\n"
    assert (done.returncode, done.stderr) == (75, line)


def test_max_time_saves_and_stops():
    long = ["trainer.max_steps=100000", "trainer.val_check_interval=100000", "trainer.checkpoint_every_n_steps=null"]
    with pytest.raises(Stopped, match=r"stopped by trainer.max_time at step \d+, saved") as stopped:
        seqkit.train([*TINY, *long, "id=a", "trainer.max_time=00:00:01"])
    assert (stopped.value.folder / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:00:01", 1), ("12:30:00", 45000), ("1-00:00:00", 86400), ("01:02:03:04", 93784), ("36:00:00", 129600)],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["90", "30:00", "1h", "00:00:00", "1:60:00", "-1:00:00", "", "1-12"])
def test_other_durations_are_refused(text):
    with pytest.raises(seqkit.ConfigError, match="say HH:MM:SS or D-HH:MM:SS"):
        seqkit.train([*TINY, f"trainer.max_time='{text}'"])


def test_the_margin_of_a_limit_is_measured():
    now, left = [0.0], [100.0]
    limit = TimeLimit("limit", 100.0, 10.0, lambda: left[0], lambda: now[0])

    def due(moment):
        now[0] = moment
        return limit.is_due()

    assert not due(5.0)  # stretches of 5 s
    limit.saved(20.0)
    now[0] = 25.0
    assert not due(29.0)
    left[0] = 200.0
    assert not due(59.0)  # a stretch of 30 s: 59 + 2 * 30 + 20 + 10 > 100, but the limit was moved
    left[0] = 0.0
    assert due(200.0)


def test_a_limit_makes_a_request_that_all_names_hold(monkeypatch):
    request = StopRequest()
    request.limits = [TimeLimit(NAMES[1], -1.0)]
    request.look()
    assert request.name == NAMES[1]
    assert time_limits(None) == []
