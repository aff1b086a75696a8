import json
import os
from pathlib import Path

import pytest

from seqkit.errors import ConfigError, DataError
from seqkit.runs.folder import RunFolder
from seqkit.runs.listing import read_named, read_run, runs_in
from tests.written_runs import write_run


def content(folder):
    """Return every file of a folder with its bytes and times."""
    return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


def test_a_finished_run_is_as_its_report_says(finished):
    before = content(finished)
    run = read_run(finished)
    report = json.loads((finished / "report.json").read_text())
    assert (run.state, run.label, run.task) == ("finished", "tiny/finished", "forecast")
    assert (run.monitor, run.score) == (("mse", "min"), report["valid"]["mse"])
    assert (run.steps, run.max_steps, run.best_step) == (6, 6, report["best_step"])
    assert (run.test, run.baselines) == (report["test"], report["baselines"])
    assert run.fingerprint == report["data"]["sha256"]
    assert run.size == sum(len(data) for _, data in before.values() if data)
    assert content(finished) == before


def test_a_killed_run_is_stopped_and_has_its_best_score_so_far(halfway):
    run = read_run(halfway)
    rows = [line.split(",") for line in (halfway / "metrics.csv").read_text().splitlines()]
    scores = {float(value): int(step) for step, name, value in rows if name == "valid/mse"}
    assert (run.state, run.monitor, run.steps) == ("stopped", ("mse", "min"), 4)
    assert (run.score, run.best_step) == (min(scores), scores[min(scores)])
    assert run.fingerprint == read_run(halfway.parent / "halfway").fingerprint != ""


def test_a_run_is_running_while_its_lock_is_held(finished):
    with RunFolder(finished).lock():
        assert read_run(finished).state == "running"
    assert read_run(finished).state == "finished"


def test_the_best_score_respects_its_direction():
    scores = {10: 0.5, 20: 0.9, 30: 0.9, 40: 0.1}
    high, low = (read_run(write_run(f"a/{way}", scores, monitor=("accuracy", way))) for way in ("max", "min"))
    assert (high.score, high.best_step) == (0.9, 20)
    assert (low.score, low.best_step) == (0.1, 40)


def test_states_without_a_checkpoint():
    path = write_run("a/b", {}, checkpoint=False)
    assert read_run(path).state == "failed"
    (path / "train.log").unlink()
    assert read_run(path).state == "not started"


def test_a_report_of_a_shorter_training_does_not_count():
    path = write_run("a/b", {10: 0.5, 20: 0.6}, test=0.4)
    report = json.loads((path / "report.json").read_text())
    (path / "report.json").write_text(json.dumps({**report, "config_hash": "another"}))
    run = read_run(path)
    assert (run.state, run.score, run.test) == ("stopped", 0.6, {})


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("config.json", b"{", "is not a config of seqkit"),
        ("config.json", b"\xff\xfe", "is not a config of seqkit"),
        ("config.json", b'{"config": {"seed": 2}, "folder": "/", "hash": "0"}', "was edited"),
        ("config.json", None, "is not a run"),
        ("metrics.csv", b"step,metric,value\n1,valid/accuracy,x\n", "damaged at line 2"),
    ],
)
def test_damage_is_one_line(name, damage, said):
    path = write_run("a/b", {10: 0.5})
    (path / name).unlink()
    if damage is not None:
        (path / name).write_bytes(damage)
    run = read_run(path)
    assert said in run.problem
    assert "\n" not in run.problem
    assert run.state == ("stopped" if name == "metrics.csv" else "unreadable")


@pytest.mark.parametrize("odd", [b"[]", b"{", b'{"valid": 3, "monitor": ["accuracy"], "best_step": "x", "data": 1}'])
def test_a_damaged_report_is_no_report(odd):
    path = write_run("a/b", {10: 0.5}, test=0.4)
    (path / "report.json").write_bytes(odd)
    run = read_run(path)
    assert (run.state, run.score) == ("stopped", 0.5)


def test_runs_are_found_by_name_and_id_in_the_order_of_their_numbers():
    for label in ("b/s-10", "b/s-2", "a/x"):
        write_run(label, {})
    Path("runs/sweeps/s").mkdir(parents=True)
    Path("runs/sweeps/s/sweep.json").write_text("{}")
    Path("runs/foreign/folder").mkdir(parents=True)
    Path("runs/note.txt").write_text("")

    def labels(*globs):
        return ["/".join(path.parts[-2:]) for path in runs_in(Path("runs"), list(globs))]

    assert labels() == ["a/x", "b/s-2", "b/s-10", "foreign/folder"]
    assert labels("b") == labels("b/*") == labels("s-*") == labels("runs/b/*") == ["b/s-2", "b/s-10"]
    assert labels("x", "b/s-2") == ["a/x", "b/s-2"]
    with pytest.raises(ConfigError, match="no run in runs matches 's-3'. Did you mean 's-2'"):
        labels("b", "s-3")
    with pytest.raises(DataError, match="rnus: no such folder"):
        runs_in(Path("rnus"), [])


def test_a_run_is_named_by_path_name_or_glob():
    for label in ("a/x", "a/y", "b/x"):
        write_run(label, {})

    def labels(what):
        return [run.label for run in read_named(what, Path("runs"))]

    assert labels("runs/a/x") == ["a/x"]
    assert labels("runs/a") == labels("a") == labels("a/*") == ["a/x", "a/y"]
    assert labels("runs") == ["a/x", "a/y", "b/x"]
    os.mkdir("empty")
    with pytest.raises(ConfigError, match="empty: there is no run in it"):
        labels("empty")


def test_a_sweep_is_named_by_its_folder_or_id():
    write_run("a/s-0", {10: 0.5}, test=0.4)
    write_run("a/s-1", {10: 0.5})
    jobs = [
        {"number": 0, "overrides": ["seed=1"], "run": "a/s-0", "state": "finished", "refusal": ""},
        {"number": 1, "overrides": ["seed=2"], "run": "a/s-1", "state": "failed", "refusal": "NaN"},
        {"number": 2, "overrides": ["seed=3"], "run": "", "state": "failed", "refusal": "no such seed"},
        {"number": 3, "overrides": ["seed=4"]},
    ]
    ledger = Path("runs/sweeps/s/sweep.json")
    ledger.parent.mkdir(parents=True)
    ledger.write_text(json.dumps({"words": [], "folder": "", "components": {}, "jobs": jobs}))
    for what in ("runs/sweeps/s", "s"):
        runs = read_named(what, Path("runs"))
        assert [(run.state, run.problem) for run in runs] == [
            ("finished", ""),
            ("stopped", "job 1 (seed=2) failed: NaN"),
            ("unreadable", "job 2 (seed=3) failed: no such seed"),
            ("unreadable", "job 3 (seed=4) has no run"),
        ]
    ledger.write_text('{"jobs": [3]}')
    with pytest.raises(ConfigError, match="is not the ledger of a sweep"):
        read_named("s", Path("runs"))


def test_a_lock_of_another_machine_counts_while_it_is_renewed(finished):
    with RunFolder(finished).lock():
        text = (finished / ".lock").read_text()
    first, _, rest = text.partition("\n")
    lock = finished / ".lock"
    lock.write_text(json.dumps({**json.loads(first), "machine": "another"}) + "\n" + rest)
    assert read_run(finished).state == "running"
    os.utime(lock, (1, 1))
    assert read_run(finished).state == "finished"


def test_runs_that_fresh_put_aside_are_listed_and_compared_only_by_their_path():
    for label in ("a/x", "a/x.old-1"):
        write_run(label, {})
    assert [path.name for path in runs_in(Path("runs"), [])] == ["x", "x.old-1"]
    assert [run.label for run in read_named("a", Path("runs"))] == ["a/x"]
    assert [run.label for run in read_named("runs/a/x.old-1", Path("runs"))] == ["a/x.old-1"]
