"""A saved run loads its plugins itself, as far as this user trusts them, and a stranger's run never runs code."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode
from py_compile import compile as compile_file

import pytest
from hydra.core.config_store import ConfigStore

import seqkit
from seqkit import plugins, registry
from seqkit.__main__ import run
from seqkit.config import config_hash
from seqkit.files import working_in
from seqkit.plugins import memory
from seqkit.runs import checkpoint
from tests.conftest import TINY
from tests.finding.author import cell, distribution, write


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return a finished run of the cell ``unit``, trained once for all tests."""
    folder = tmp_path_factory.mktemp("original")
    exec(cell(), {"__name__": "typed"})
    seqkit.train([*TINY, "model=unit", f"runs={folder}", "id=a"])
    registry._components["model"].pop("unit")
    ConfigStore.instance().repo["model"].pop("unit.yaml")
    return folder / "tiny" / "a"


@pytest.fixture
def made(original, fresh):
    """Return a run of ``unit.py``, finished in a process that is no more; its user remembers the file."""
    folder = Path(shutil.copytree(original, "runs/tiny/a"))
    file = write(Path("unit.py"), cell()).absolute()
    memory.remember(file)
    rewritten(folder, {"file": str(file), "sha256": memory.digest(file)})
    return folder


@pytest.fixture
def package(site):
    """Return a run of an installed plugin, finished."""
    distribution(site, "seqkit-unit", "unit = seqkit_unit", {"seqkit_unit/__init__.py": cell()})
    assert run(["train", *TINY, "model=unit", "id=a"]) == 0
    return Path("runs/tiny/a")


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_run_loads_the_file_that_its_user_has_used(made, fresh, capsys):
    for words in (["evaluate", str(made)], ["describe", str(made)], ["export", str(made)],
                  ["resume", str(made), "--report"], ["train", *TINY, "model=unit", "id=a"]):  # fmt: skip
        fresh()
        assert "unit" not in registry.components("model")
        if words[0] == "train":
            words = ["--plugin", "unit.py", *words]
        assert run(words) == 0, capsys.readouterr().err


def test_a_file_that_was_trained_with_as_a_script_is_remembered(fresh, capsys):
    write(Path("unit.py"), cell() + "\nif __name__ == '__main__':\n    seqkit.main()\n")
    words = [sys.executable, "unit.py", "train", *TINY, "model=unit", "id=a"]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert run(["evaluate", "runs/tiny/a"]) == 0


def test_an_unknown_file_is_said_in_one_line(made, fresh, capsys, monkeypatch):
    monkeypatch.setenv("SEQKIT_HOME", "elsewhere")
    file = Path("unit.py").absolute()
    digest = json.loads((made / "config.json").read_text())["components"]["model=unit"]["sha256"]
    expected = (
        f"seqkit: this run's model 'unit' came from {file} (sha256 {digest[:8]}...), which you have not used here; "
        f"if you trust it: seqkit --plugin {file} COMMAND ..."
    )
    for command in ("evaluate", "resume", "describe"):
        assert run([command, str(made)]) == 1
        assert last_line(capsys) == expected
    assert run(["evaluate", str(made), "--plugin", str(file)]) == 0


def test_a_changed_file_is_loaded_when_its_user_has_used_the_new_one_too(made, fresh, capsys, caplog):
    file = write(Path("unit.py"), cell(scale=0.25)).absolute()
    assert run(["evaluate", str(made)]) == 1
    assert last_line(capsys) == (
        f"seqkit: this run's model 'unit' came from {file}, which has changed since you used it; "
        f"if you trust it as it is now: seqkit --plugin {file} COMMAND ..."
    )
    plugins.use("unit.py")
    fresh()
    assert run(["evaluate", str(made)]) == 0
    changed = f"this run was made with other code: model=unit of {file}, which has changed since"
    assert caplog.messages == [f"{made / 'checkpoints/best.ckpt'}: {changed}"]
    file.unlink()
    fresh()
    assert run(["evaluate", str(made)]) == 1
    assert f"came from {file}, which is gone; say where it is now: seqkit --plugin FILE" in last_line(capsys)


def test_changed_code_neither_goes_on_unasked_nor_touches_a_report(made, fresh, capsys, caplog, monkeypatch):
    from seqkit.training.module import SequenceModule

    plugins.use("unit.py")
    step = SequenceModule.training_step

    def dying(self, batch, number):
        if number == 4:
            raise KeyboardInterrupt
        return step(self, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(SequenceModule, "training_step", dying)
        assert run(["train", *TINY, "model=unit", "id=b"]) == 130
    report = (made / "report.json").read_bytes()
    fresh()
    write(Path("unit.py"), cell(scale=0.25))
    plugins.use("unit.py")
    changed = f"seqkit: this run was made with other code: model=unit of {Path('unit.py').absolute()}, which has changed since"
    for words in (["resume", "runs/tiny/b"], ["train", *TINY, "model=unit", "id=b"]):
        assert run(words) == 1
        assert last_line(capsys) == f"{changed}; put that code back, or go on with what is there now by --changed-code"
    for words in (["resume", str(made), "--report"], ["resume", str(made), "--report", "--changed-code"]):
        assert run(words) == 1
        assert last_line(capsys) == f"{changed}; its report is left as it is: put that code back to make it again"
    assert run(["resume", str(made), "--changed-code"]) == 0
    assert (made / "report.json").read_bytes() == report
    assert run(["resume", "runs/tiny/b", "--changed-code", "--exact"]) == 1
    assert last_line(capsys) == changed.replace("seqkit: ", "seqkit: --exact: ")
    assert run(["resume", "runs/tiny/b", "--changed-code"]) == 0
    fresh()
    caplog.clear()
    assert run(["evaluate", "runs/tiny/b/checkpoints/last.ckpt"]) == 0
    assert caplog.messages == []


def test_an_installed_plugin_needs_no_naming_and_its_absence_is_one_line(package, fresh, site, capsys, caplog):
    saved = json.loads((package / "config.json").read_text())["components"]["model=unit"]
    assert (saved["distribution"], saved["version"]) == ("seqkit-unit", "0.1.0")
    for words in (["evaluate", str(package)], ["resume", str(package), "--report"]):
        fresh()
        assert run(words) == 0
    (site / "seqkit_unit" / "__init__.py").write_text(cell(scale=0.25))
    fresh()
    assert run(["evaluate", str(package)]) == 0
    assert caplog.messages[-1].endswith("model=unit of seqkit-unit 0.1.0, which has changed since")
    fresh()
    shutil.rmtree(site / "seqkit_unit-0.1.0.dist-info")
    assert run(["evaluate", str(package)]) == 1
    assert last_line(capsys) == (
        "seqkit: this run's model 'unit' came from seqkit-unit 0.1.0, which is not installed here as a plugin: "
        "pip install seqkit-unit==0.1.0"
    )


def rewritten(folder: Path, origin: dict, **extra: dict) -> None:
    """Let a run say that its model came from elsewhere, as a stranger may, with every hash right."""
    content = json.loads((folder / "config.json").read_text())
    content["components"] = {**content["components"], "model=unit": origin, **extra}
    content["config"]["runs"] = "runs"
    content["hash"] = config_hash(content["config"])
    (folder / "config.json").write_text(json.dumps(content))
    for path in (folder / "checkpoints").glob("*.ckpt"):
        saved = checkpoint.read(path)
        saved["seqkit"] |= {"components": content["components"], "config": content["config"]}
        checkpoint.write(path, saved)


ATTACKS = {
    "a file in the run": lambda run, sha: {"file": f"{run}/evil.py", "sha256": sha(run / "evil.py")},
    "a path upwards": lambda run, sha: {"file": f"{run}/../a/evil.py", "sha256": sha(run / "evil.py")},
    "a link": lambda run, sha: {"file": f"{run}/link.py", "sha256": sha(run / "link.py")},
    "the digest of a file that was used": lambda run, sha: {"file": f"{run}/evil.py", "sha256": sha(Path("known.py"))},
    "a module": lambda run, sha: {"module": "evil"},
    "a module with a digest": lambda run, sha: {"module": "evil", "file": "evil.py", "sha256": sha(run / "evil.py")},
    "a distribution that is no plugin": lambda run, sha: {
        "distribution": "pytest",
        "version": "1",
        "file": f"{run}/evil.py",
    },
    "a distribution in the run": lambda run, sha: {"distribution": "evil", "version": "1"},
    "a folder as a distribution": lambda run, sha: {"distribution": f"{run}", "version": "1"},
    "long words": lambda run, sha: {"distribution": "e" * 10**6, "file": "/" * 10**6, "sha256": "f" * 10**6},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_strangers_run_never_runs_code(attack, made, fresh, capsys, monkeypatch, tmp_path):
    marker = tmp_path / "ran"
    evil = f"open({str(marker)!r}, 'w').close()\n" + cell()
    write(Path("known.py"), cell("known"))
    plugins.use("known.py")
    fresh()
    shutil.move("unit.py", made / "unit.py")
    for name in ("evil.py", "unit.py", "known.py", "sitecustomize.py", "conftest.py", "conf/__init__.py", "polars.py"):
        write(made / name, evil)
    (made / "link.py").symlink_to(made.resolve() / "evil.py")
    distribution(made, "evil", "unit = evil", {})
    origin = ATTACKS[attack](made.resolve(), lambda path: plugins.memory.digest(path))
    rewritten(made, origin, **{"data=adding": {"file": str(made / "evil.py"), "sha256": "0" * 64}})
    monkeypatch.syspath_prepend("")
    folder = str(made.resolve())
    inside = made.resolve()
    for words in (["evaluate", folder], ["resume", folder], ["resume", folder, "--changed-code"], ["predict", folder, "x"],
                  ["generate", folder], ["export", folder], ["describe", folder], ["list"], ["describe", "model=lstm"],
                  ["evaluate", f"{folder}/checkpoints/last.ckpt"], ["train", *TINY, "model=unit", "id=a"]):  # fmt: skip
        fresh()
        sys.path.insert(0, "")
        with monkeypatch.context() as patch:
            patch.chdir(inside)
            code = run(words)
        err = capsys.readouterr().err
        assert code == (0 if words[0] == "list" or "model=lstm" in words else 1)
        assert "Traceback" not in err
        assert len(err) < 3000
        assert not marker.exists(), (words, err)


@pytest.mark.parametrize("sibling", [False, True])
def test_bytecode_beside_a_file_is_not_run(sibling, fresh, tmp_path):
    file = write(tmp_path / "plugin" / "unit.py", cell())
    helper = write(tmp_path / "plugin" / "helper.py", "x = 1\n")
    planted = helper if sibling else file
    if sibling:
        write(file, "import helper\n" + cell())
    whole = planted.read_bytes()
    evil = write(tmp_path / "evil.py", f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    bytecode = Path(cache_from_source(str(planted)))
    compile_file(str(evil), str(bytecode), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    assert planted.read_bytes() == whole
    plugins.use(str(file))
    assert "unit" in registry.components("model")
    assert not (tmp_path / "ran").exists()


def test_no_module_is_imported_from_the_folder_that_a_run_names(tmp_path, monkeypatch):
    write(tmp_path / "stranger" / "planted_module.py", "raise AssertionError('imported')")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with working_in(tmp_path / "stranger"):
        assert Path.cwd() == tmp_path / "stranger"
        with pytest.raises(ModuleNotFoundError):
            import planted_module  # type: ignore[import-not-found] # noqa: F401
    assert sys.path[0] == ""
    assert Path.cwd() == tmp_path


def test_the_memory_survives_damage_and_many_writers(fresh, caplog):
    files = [write(Path(f"file_{number}.py"), f"x = {number}").absolute() for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(memory.remember, files))
    assert all(memory.files_of(memory.digest(file)) == [str(file)] for file in files)
    store = Path(os.environ["SEQKIT_HOME"], "plugins.json")
    for damage in ("", "{", "[]", '{"a": 1, "b": [1]}', "\0", "[" * 10**5):
        store.write_text(damage)
        assert memory.files_of("a") == memory.files_of("b") == []
        memory.remember(files[0])
        assert memory.files_of(memory.digest(files[0])) == [str(files[0])]
    assert caplog.messages == []


def test_a_memory_that_cannot_be_written_is_one_warning(fresh, caplog, monkeypatch):
    write(Path("taken"), "a file, no folder")
    monkeypatch.setenv("SEQKIT_HOME", "taken")
    write(Path("unit.py"), cell())
    plugins.use("unit.py")
    assert seqkit.build("model", "unit", 3).output_size
    assert caplog.messages == [
        f"taken: cannot be written (file exists), so later commands need --plugin {Path('unit.py').absolute()}"
    ]


@pytest.mark.parametrize("command", ["check model=unit", "train model=unit"])
def test_a_name_of_a_file_used_before_is_refused_with_that_file(fresh, command, capsys):
    memory.remember(write(Path("gone.py"), cell()).absolute())
    Path("gone.py").unlink()
    memory.remember(write(Path("my unit.py"), cell()).absolute())
    assert run(command.split()) == 1
    said = (
        "no model 'unit'. You have used my unit.py, which registers it: add --plugin 'my unit.py'. Known: cifg_lstm, "
    )
    assert said in last_line(capsys)
