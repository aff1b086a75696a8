"""`seqkit new`: whole packages, or one line and nothing."""

import ast
import re
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.commands.new import REGISTERS
from tests.pages import ROOT

TEMPLATES = ROOT / "plugins" / "templates"


def written(package: str) -> dict[str, str]:
    return {str(path.relative_to(package)): path.read_text() for path in Path(package).rglob("*") if path.is_file()}


def test_each_template_is_a_kind():
    assert {path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(REGISTERS)


@pytest.mark.parametrize("kind", REGISTERS)
def test_a_package_is_the_template_by_another_name(kind, capsys):
    assert run(["new", kind, "slow_roll"]) == 0
    files = written("seqkit-slow-roll")
    assert {"pyproject.toml", "README.md", "seqkit_slow_roll/__init__.py", "tests/test_seqkit_slow_roll.py"} <= set(
        files
    )
    assert not [name for name, text in files.items() if "example" in (name + text).lower()]
    for name, text in files.items():
        if name.endswith(".py"):
            ast.parse(text)
    registered = set(re.findall(r'@seqkit\.register_(\w+)\("slow_roll"\)', "".join(files.values())))
    assert registered == {"cell"} if kind == "cell" else set(REGISTERS[kind])
    assert 'name = "seqkit-slow-roll"' in files["pyproject.toml"]
    assert 'slow_roll = "seqkit_slow_roll"' in files["pyproject.toml"]


def test_it_says_how_to_go_on(capsys):
    Path("mine").mkdir()
    run(["new", "head", "foo", "--path", "mine"])
    assert capsys.readouterr().out.splitlines() == [
        "wrote mine/seqkit-foo; go on in mine with",
        "    pip install -e ./seqkit-foo",
        "    seqkit train head=foo data=timing data.distance=5 data.offset=9 trainer.max_steps=20",
        "    pytest seqkit-foo",
    ]


REFUSED = {
    "new cel foo": "no kind of plugin 'cel'. Did you mean 'cell'? Known: cell, data, head, model, task",
    "new cell 3d": "'3d' cannot be the name of a plugin; it must be lower-case letters, digits and _",
    "new cell a-b": "'a-b' cannot be the name",
    "new cell Foo": "'Foo' cannot be the name",
    "new cell foo_": "'foo_' cannot be the name",
    "new cell ../foo": "'../foo' cannot be the name",
    "new cell class": "'class' cannot be the name",
    "new cell null": "'null' cannot be the name",
    "new cell lstm": "model=lstm is there already, from seqkit;",
    "new task adding": "data=adding is there already",
    "new cell there": "seqkit-there is there already; choose another name, or another folder by --path",
    "new cell foo --path nowhere": "nowhere: no such folder. Expected a folder to write the package into",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refusals_are_one_line_and_leave_nothing(words, capsys):
    Path("seqkit-there").mkdir()
    assert run(words.split()) == 1
    line = capsys.readouterr().err
    assert line.startswith("seqkit: ")
    assert REFUSED[words] in line
    assert line.count("\n") == 1
    assert [path.name for path in Path().rglob("*")] == ["seqkit-there"]


def test_a_module_that_is_installed_is_not_shadowed(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "plugins" / "seqkit-mgu")
    assert run(["new", "head", "mgu"]) == 1
    assert capsys.readouterr().err == "seqkit: a package seqkit_mgu is installed already; choose another name\n"
    assert list(Path().iterdir()) == []


def test_a_disk_that_fails_leaves_nothing(monkeypatch, capsys):
    def full(self, *arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert run(["new", "cell", "foo"]) == 1
    assert "seqkit-foo cannot be written: the disk is full" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
