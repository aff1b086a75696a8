"""Installed plugins: found by name when one is missing, all of them by a listing, a broken one as one warning."""

import json
import sys

import pytest

import seqkit
from seqkit import plugins, presets, registry
from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.files import sha256_of
from seqkit.hydra_cli import compose
from tests.conftest import TINY
from tests.finding.author import PRESET, cell, distribution, write

NEVER = "raise AssertionError('imported')"


def test_a_plugin_is_imported_when_its_name_is_wanted_and_not_before(site):
    distribution(site, "seqkit-unit", "unit = seqkit_unit", {"seqkit_unit/__init__.py": cell()})
    distribution(site, "seqkit-other", "other = seqkit_other", {"seqkit_other/__init__.py": NEVER})
    assert compose([*TINY, "model=lstm"])["model"]["name"] == "lstm"
    assert "seqkit_unit" not in sys.modules
    assert compose([*TINY, "model=unit"])["model"]["name"] == "unit"
    assert registry.find("model", "unit").provider == "seqkit-unit 0.1.0"
    assert "seqkit_other" not in sys.modules


def test_a_name_that_no_entry_point_has_is_looked_for_in_all(site, capsys):
    distribution(site, "cells", "cells = many", {"many.py": cell("one") + cell("two").replace("Unit", "Two")})
    assert run(["train", *TINY, "model=two,one", "-m", "id=x"]) == 0
    header, _, *rows = [line.split() for line in capsys.readouterr().out.rpartition("\nrun  ")[2].splitlines()]
    place = 1 + header.index("model")  # behind the column of the run
    assert [row[place] for row in rows[:2]] == ["two", "one"]
    assert seqkit.build("model", "two", 3).output_size
    with pytest.raises(
        ConfigError, match="no model 'three'. Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, one"
    ):
        seqkit.build("model", "three", 3)


def test_what_is_installed_is_recorded(site):
    files = {"seqkit_unit/__init__.py": cell(), "seqkit_unit/conf/experiment/mine.yaml": PRESET.format(model="unit")}
    distribution(site, "seqkit-unit", "unit = seqkit_unit", files)
    (plugin,) = plugins.found()
    assert (plugin.name, plugin.distribution, plugin.version) == ("unit", "seqkit-unit", "0.1.0")
    assert plugin.file == str(site / "seqkit_unit" / "__init__.py")
    assert (plugin.components, plugin.presets, plugin.fault) == (("model=unit",), ("experiment=mine",), "")
    assert plugin.seconds > 0
    assert "unit" in seqkit.names("model")


def test_an_editable_install_is_known_by_its_distribution_and_its_source(site, tmp_path, monkeypatch):
    source = write(tmp_path / "source" / "src dir" / "seqkit_unit" / "__init__.py", cell())
    distribution(site, "seqkit-unit", "unit = seqkit_unit", {})
    url = {"url": (tmp_path / "source").as_uri(), "dir_info": {"editable": True}}
    write(site / "seqkit_unit-0.1.0.dist-info" / "direct_url.json", json.dumps(url))
    monkeypatch.syspath_prepend(source.parents[1])
    origin = registry.find("model", "unit").origin.to_json()
    assert origin["distribution"] == "seqkit-unit"
    assert (origin["file"], origin["sha256"]) == (str(source), sha256_of([source]))


def test_a_preset_of_a_plugin_is_found_by_name(site):
    files = {"seqkit_unit/__init__.py": cell(), "seqkit_unit/conf/experiment/mine.yaml": PRESET.format(model="unit")}
    distribution(site, "seqkit-unit", "unit = seqkit_unit", files)
    tiny = [word for word in TINY if word != "model.hidden_size=4"]
    assert compose([*tiny, "experiment=mine"])["model"]["hidden_size"] == 3
    assert presets.summaries("experiment")["mine"] == ("A preset of a plugin.", "seqkit-unit 0.1.0")


def test_a_preset_of_the_users_own_may_name_a_plugin(site, tmp_path, capsys):
    distribution(site, "seqkit-unit", "unit = seqkit_unit", {"seqkit_unit/__init__.py": cell()})
    folder = tmp_path / "presets" / "experiment"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(PRESET.format(model="unit"))
    assert run(["train", "experiment=own", "--config-dir", str(folder.parent), "--cfg", "job"]) == 0
    assert "name: unit" in capsys.readouterr().out


@pytest.mark.parametrize(("preset", "owner"), [
    ("experiment/morse", "experiment=morse is one of seqkit"),
    ("model/lstm", "model=lstm is one of seqkit"),
    ("train", "train is one of seqkit"),
    ("experiment/first", "experiment=first is one of a-plugin 0.1.0"),
])  # fmt: skip
def test_a_preset_never_takes_the_place_of_another(site, caplog, preset, owner):
    distribution(
        site, "a-plugin", "a = a_plugin", {"a_plugin/__init__.py": "", "a_plugin/conf/experiment/first.yaml": ""}
    )
    files = {"b_plugin/__init__.py": cell("b"), f"b_plugin/conf/{preset}.yaml": "a: 1"}
    distribution(site, "b-plugin", "b = b_plugin", files)
    plugins.found()
    assert list(plugins.preset_folders()) == list(plugins.preset_folders()) == ["a-plugin 0.1.0"]
    assert caplog.messages == [f"the presets of b-plugin 0.1.0 are left out: {owner}"]
    assert compose([*TINY, "model=b"])["model"]["name"] == "b"


BROKEN = {
    "missing": ("import nowhere_at_all", "{file}:1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    "failing": ("\n\n1 / 0", "{file}:3: ZeroDivisionError: division by zero"),
    "leaving": ("import sys\nsys.exit('enough')", "{file}:2: SystemExit: enough"),
    "unreadable": ("def f(:", "{file}:1: SyntaxError: invalid syntax"),
    "taken": (cell("lstm"), "{file}:6: model 'lstm' is already registered by seqkit (seqkit.models.cells.lstm); "
              "choose another name"),
    "running": ("import seqkit\nseqkit.main()", "{file}:2: seqkit.main() runs when this file is imported; "
                "put it under if __name__ == '__main__':"),
    "reserved": (cell("null"), "{file}:6: model name 'null' means something else in YAML and on the command line; "
                 "choose another"),
    "default": ("import seqkit\n@seqkit.register_head('h')\ndef head(size, spec, causal, *, leak: int = 0.5): ...",
                "{file}:2: head 'h': option 'leak' has the default 0.5: not of type int"),
    "module": ("import seqkit\nfrom torch import nn\n@seqkit.register_head('h')\n"
               "def head(size, spec, causal, *, act: nn.Module = nn.ReLU()): ...",
               "{file}:3: head 'h': option 'act' has the default ReLU(): no config can hold it"),
    "annotation": ("import seqkit\n@seqkit.register_head('h')\ndef head(size: int, *, leak: 'Undefined' = 1): ...",
                   "{file}:2: annotation.head: its annotations cannot be read: name 'Undefined' is not defined"),
    "skipping": ("class Skipped(BaseException): ...\nraise Skipped('no')", "{file}:2: Skipped: no"),
    "endless": ("def f():\n    f()\nf()", "{file}:2: RecursionError: maximum recursion depth exceeded"),
    "borrowing": ("import whole\n1 / 0", "{file}:2: ZeroDivisionError: division by zero"),
    "double": ("import torch\ntorch.set_default_dtype(torch.float64)", "its import changes torch's default dtype from "
               "torch.float32 to torch.float64, for all else in this process too; leave it as it was"),
    "half": (cell("half") + "\nraise KeyError('late')", "{file}:17: KeyError: 'late'"),
}  # fmt: skip


@pytest.fixture
def broken(site):
    """Install every broken plugin, and one that is whole."""
    expected = []
    for name, (source, cause) in BROKEN.items():
        distribution(site, f"{name}-dist", f"{name} = {name}", {f"{name}.py": source}, version="2")
        expected.append(f"plugin {name} of {name}-dist 2 is left out: {cause.format(file=site / f'{name}.py')}")
    distribution(site, "old-dist", "old = old", {"old.py": NEVER}, version="2", requires="seqkit>=9,<10")
    expected.append(
        f"plugin old of old-dist 2 is left out: it needs seqkit<10,>=9, and this is seqkit {seqkit.__version__}"
    )
    distribution(site, "gone-dist", "gone = gone_file", {}, version="2")
    expected.append("plugin gone of gone-dist 2 is left out: ModuleNotFoundError: No module named 'gone_file'")
    distribution(site, "odd-dist", "odd = not a module", {}, version="2")
    expected.append("plugin odd of odd-dist 2 is left out: entry point odd = not a module names no module")
    distribution(site, "whole-dist", "unit = whole", {"whole.py": cell()})
    return expected


def test_each_broken_plugin_is_one_warning_and_everything_else_goes_on(broken, caplog):
    assert "unit" in seqkit.names("model")
    assert "half" not in seqkit.names("model")
    assert sorted(caplog.messages) == sorted(broken)
    faults = {plugin.name: plugin.fault for plugin in plugins.found()}
    assert not faults["unit"]
    assert all(faults[name] for name in BROKEN)


def test_what_a_plugin_prints_is_no_part_of_an_answer(site, capsys):
    distribution(site, "loud", "loud = loud", {"loud.py": "print('hello')\n" + cell()})
    assert run(["list", "model", "--json"]) == 0
    assert "unit" in json.loads(capsys.readouterr().out)["model"]


def test_a_module_that_stands_before_an_installed_one_is_not_imported(site, tmp_path, monkeypatch, caplog):
    distribution(site, "seqkit-unit", "unit = seqkit_unit", {"seqkit_unit/__init__.py": cell()})
    shadow = write(tmp_path / "run" / "seqkit_unit.py", NEVER)
    monkeypatch.syspath_prepend(shadow.parent)
    assert "unit" not in seqkit.names("model")
    assert caplog.messages == [
        f"plugin unit of seqkit-unit 0.1.0 is left out: {shadow} stands before its module 'seqkit_unit' on the path; "
        "rename that file"
    ]


def test_an_installed_module_is_its_own_source_whatever_stands_beside_it(site):
    distribution(site, "unit", "unit = unit", {"unit.py": "import helper\n" + cell(), "helper.py": "x = 1"})
    assert registry.find("model", "unit").origin.sha256 == sha256_of([site / "unit.py"])


def test_a_distribution_without_a_name_is_passed_over(site, caplog):
    distribution(site, "unit", "unit = unit", {"unit.py": cell()})
    write(site / "half_deleted-1.dist-info" / "entry_points.txt", "[seqkit.plugins]\nx = nowhere\n")
    assert "unit" in seqkit.names("model")
    assert caplog.messages == []


@pytest.mark.usefixtures("broken")
def test_training_without_plugins_works_under_all_broken_ones(capsys):
    assert run(["train", *TINY, "model=lstm", "id=a"]) == 0
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("entry", ["", ".", "{here}"])
def test_the_current_folder_installs_nothing(fresh, tmp_path, monkeypatch, entry):
    distribution(tmp_path, "stranger", "unit = stranger", {"stranger.py": NEVER})
    monkeypatch.setattr(sys, "path", [entry.format(here=tmp_path), *sys.path])
    assert "unit" not in seqkit.names("model")
