"""Plugins that a user names by --plugin, and in SEQKIT_PLUGINS."""

import multiprocessing
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import seqkit
from seqkit import plugins, registry
from seqkit.__main__ import run
from seqkit.errors import PluginError
from seqkit.hydra_cli import compose
from seqkit.origin import sources
from tests.conftest import TINY
from tests.finding.author import PRESET, cell, write

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.mark.parametrize("words", [
    ["--plugin", "unit.py", "describe", "model=unit"], ["describe", "--plugin=unit.py", "model=unit"],
    ["describe", "model=unit", "--plugin", "folder"], ["describe", "model=unit", "--plugin", "package/"],
    ["--plugin", "package/inner.py", "describe", "model=unit"],
])  # fmt: skip
def test_a_file_a_folder_or_a_package_is_named_anywhere(words, capsys):
    write(Path("unit.py"), cell())
    write(Path("folder/first.py"), cell())
    write(Path("folder/second.py"), cell("second"))
    write(Path("package/__init__.py"), "from .inner import Unit")
    write(Path("package/inner.py"), cell())
    assert run(words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("model=unit: A unit of a plugin.")
    assert os.environ["SEQKIT_PLUGINS"].startswith(str(Path.cwd()))


@pytest.mark.parametrize("rest", [["model=unit"], []])
def test_a_command_that_stands_where_a_plugin_belongs_is_wrong_usage(rest, capsys):
    assert run(["--plugin", "train", *rest]) == 2
    assert capsys.readouterr().err == (
        "seqkit: --plugin takes a .py file, a folder or a module, not the command 'train'\n"
    )


def test_a_module_is_named(fresh, monkeypatch, tmp_path):
    write(tmp_path / "path" / "unit_module.py", cell())
    monkeypatch.syspath_prepend(tmp_path / "path")
    plugins.use("unit_module")
    assert registry.find("model", "unit").provider == "unit_module.py"
    assert os.environ["SEQKIT_PLUGINS"] == "unit_module"


@pytest.mark.parametrize(("name", "line"), [
    ("gone.py", "seqkit: gone.py: no such file"),
    ("gone", "seqkit: --plugin gone: ModuleNotFoundError: No module named 'gone'"),
    ("gone/", "seqkit: gone: no such file or folder"),
    ("a b", "seqkit: 'a b' is no file, folder or module"),
    ("empty/", "seqkit: empty: this folder holds no .py file; a project is installed by `pip install -e empty`"),
    ("project", "seqkit: project: this folder holds no .py file; a project is installed by `pip install -e project`, or its "
                "package named: --plugin project/seqkit_unit"),
    ("./notes.txt", "seqkit: notes.txt: is no .py file"),
    ("broken.py", "seqkit: --plugin broken.py: {here}/broken.py:2: ZeroDivisionError: division by zero"),
    ("my-cell.py", "seqkit: --plugin my-cell.py: {here}/my-cell.py: a module's name has letters, digits and _ only; "
                   "rename the file"),
    ("sys.py", "seqkit: --plugin sys.py: {here}/sys.py: 'sys' is the name of another module (built in); rename the file"),
])  # fmt: skip
def test_what_cannot_be_loaded_is_one_line(name, line, capsys):
    Path("empty").mkdir()
    write(Path("project/seqkit_unit/__init__.py"), cell())
    for file, content in {"broken.py": "\n1 / 0", "my-cell.py": "", "sys.py": "", "notes.txt": ""}.items():
        write(Path(file), content)
    assert run(["list", "--plugin", name]) == 1
    assert capsys.readouterr().err == line.format(here=Path.cwd()) + "\n"


def test_a_file_named_like_a_library_is_refused(capsys):
    write(Path("random.py"), cell())
    assert run(["--plugin", "random.py", "list"]) == 1
    assert (
        f"'random' is the name of another module ({os.__file__.replace('os.py', 'random.py')})"
        in capsys.readouterr().err
    )


def test_plugin_without_a_name_is_wrong_usage(capsys):
    assert run(["list", "--plugin"]) == 2
    assert capsys.readouterr().err == "seqkit: --plugin takes a .py file, a folder or a module\n"


def test_the_variable_is_looked_at_when_a_name_is_missing_and_a_fault_is_one_warning(monkeypatch, caplog):
    write(Path("unit.py"), cell())
    write(Path("bad.py"), "1 / 0")
    monkeypatch.setenv(
        "SEQKIT_PLUGINS", os.pathsep.join(map(str, (Path("bad.py").absolute(), "none.py", Path("unit.py").absolute())))
    )
    assert compose([*TINY, "model=gru"])["model"]["name"] == "gru"
    assert "unit" not in sys.modules
    assert compose([*TINY, "model=unit"])["model"]["name"] == "unit"
    assert seqkit.names("model")
    bad = Path("bad.py").absolute()
    assert caplog.messages == [
        f"plugin {bad} is left out: {bad}:1: ZeroDivisionError: division by zero",
        "plugin none.py is left out: none.py: no such file",
    ]


def test_the_same_file_under_two_module_names_is_one_plugin():
    write(Path("package/__init__.py"), "")
    write(Path("package/unit.py"), cell())
    plugins.use("package/unit.py")
    first = registry.find("model", "unit")
    sys.path.append(str(Path("package").absolute()))
    import_module("unit")
    assert registry.find("model", "unit") is first


def test_metadata_that_a_build_left_beside_a_named_package_is_no_installation(tmp_path):
    project = tmp_path / "seqkit-unit"
    write(project / "seqkit_unit" / "__init__.py", cell())
    write(project / "seqkit_unit.egg-info" / "PKG-INFO", "Metadata-Version: 2.1\nName: seqkit-unit\nVersion: 1\n")
    write(project / "seqkit_unit.egg-info" / "entry_points.txt", "[seqkit.plugins]\nunit = seqkit_unit\n")
    plugins.use(str(project / "seqkit_unit"))
    assert "distribution" not in registry.find("model", "unit").origin.to_json()


def test_the_digest_covers_a_folder_without_init_that_a_file_imports(tmp_path):
    file = write(tmp_path / "unit.py", "from parts.inner import x")
    inner = write(tmp_path / "parts" / "inner.py", "import deeper")
    assert sources(file) == sorted([file, inner])
    deeper = write(tmp_path / "deeper.py", "")
    assert sources(file) == sorted([file, inner, deeper])


def test_a_component_typed_in_again_replaces_itself():
    notebook = {"__name__": "__main__"}
    for scale in (0.5, 0.25):
        exec(cell("typed", scale), notebook)
    assert registry.find("model", "typed").factory.cell is notebook["Unit"]


def test_the_presets_beside_a_named_file_join_the_search_path():
    write(Path("unit.py"), cell())
    write(Path("conf/experiment/mine.yaml"), PRESET.format(model="unit"))
    plugins.use("unit.py")
    tiny = [word for word in TINY if word != "model.hidden_size=4"]
    assert compose([*tiny, "experiment=mine"])["model"]["hidden_size"] == 3
    assert plugins.preset_folders() == {"unit.py": Path("conf").resolve()}


def build_and_pickle(model) -> None:
    assert "unit" in {type(part).__module__ for part in model.modules()}
    assert seqkit.build("model", "unit", 3).output_size


def test_a_spawned_process_builds_and_unpickles_what_a_plugin_registered():
    write(Path("unit.py"), cell())
    plugins.use("unit.py")
    model = seqkit.build("model", "unit", 3)
    process = multiprocessing.get_context("spawn").Process(target=build_and_pickle, args=(model,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_file_that_is_mended_is_loaded_again():
    write(Path("unit.py"), "1 / 0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        plugins.use("unit.py")
    write(Path("unit.py"), cell())
    plugins.use("unit.py")
    assert registry.find("model", "unit").provider == "unit.py"


def test_a_script_that_runs_a_command_when_imported_is_told():
    write(Path("unit.py"), cell() + "\nseqkit.main()")
    with pytest.raises(PluginError, match=r"unit.py:17: seqkit.main\(\) runs when this file is imported; put it under"):
        plugins.use("unit.py")


def test_python_m_seqkit_takes_no_module_from_the_current_folder():
    write(Path("torch.py"), "raise AssertionError('imported')")
    done = subprocess.run([sys.executable, "-m", "seqkit", "nothing"], capture_output=True, text=True)
    listed = subprocess.run([sys.executable, "-m", "seqkit", "list", "model"], capture_output=True, text=True)
    assert done.stderr.startswith("seqkit: no command 'nothing'")
    assert (listed.returncode, listed.stderr) == (0, "")
