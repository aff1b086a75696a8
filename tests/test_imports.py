"""Imports point one way, heavy libraries stay where the design puts them, and kinds are asked for in one place only.

Every import counts, indented ones too, and so does a module that is named in a string.
"""

import ast
import re
from pathlib import Path

import pytest

import seqkit

ROOT = Path(seqkit.__file__).parent

FLOORS = (
    ("errors",), ("slurm",), ("stopping",), ("interrupting",), ("files",), ("padding",), ("dropout",), ("precision",), ("rng",), ("process_state",), ("plotting",), ("contracts",), ("schema",), ("distributions",), ("origin",), ("registry",), ("specs",), ("faults",),
    ("plugins",), ("presets",), ("config",), ("ranks",), ("inputs", "models"), ("tasks",), ("data",), ("network",), ("estimate",), ("joining",), ("evaluation",), ("runs",),
    ("training", "inference", "export"), ("report",), ("testing",), ("experiment", "trained"), ("sweeping",), ("verifying",), ("hydra_cli",), ("commands",),
    ("__main__",),
)  # fmt: skip
"""Each room may import those on the floors below it, and itself; rooms of one floor never import each other."""

HEAVY = {
    "hydra": {"hydra_cli"},
    "omegaconf": {"hydra_cli", "schema"},
    "lightning": {"training"},
    "wandb": {"training"},
    "argparse": {"commands", "__main__"},
}
SLOW = {"torchmetrics", "polars", "soundfile", "soxr", "matplotlib", "scipy", "hydra", "omegaconf", "lightning", "onnx"}


def room(path: Path, root: Path = ROOT) -> str:
    """Return the top-level module or package of seqkit that a file belongs to; "" is the package's own front page."""
    name = path.relative_to(root).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def files(root: Path = ROOT) -> list[Path]:
    return sorted(root.rglob("*.py"))


def modules(path: Path, known: set[str]) -> set[str]:
    """Return the modules of seqkit that a file names, in imports at any depth or in strings."""
    named = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from seqkit.data import ordering` names the module, not its package
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            named += [name if name in known else node.module or "" for name in inner]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.]+", node.value):
            named += [node.value]
    return {name for name in named if name in known}


def graph(root: Path = ROOT) -> dict[str, set[str]]:
    """Return for each module of seqkit the modules that it names; the front page, which names all lazily, is left out."""
    names = {}
    for path in files(root):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(("seqkit", *(part for part in parts if part != "__init__")))] = path
    known = set(names) - {"seqkit"}
    return {name: modules(path, known) - {name} for name, path in names.items() if name != "seqkit"}


def upward(imports: dict[str, set[str]]) -> list[str]:
    """Return each import that does not point down."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    found = []
    for user, used in imports.items():
        own = user.split(".")[1]
        for other in used:
            target = other.split(".")[1]
            if target != own and not (target in floor and own in floor and floor[target] < floor[own]):
                found.append(f"{user} -> {other}")
    return sorted(found)


def circles(imports: dict[str, set[str]]) -> list[str]:
    """Return the modules from which a chain of imports leads back to themselves.

    A package's ``__init__`` imports its own modules, and they do not thereby import it.
    """
    found = []
    for start in imports:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for other in imports[todo.pop()]:
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        if start in seen:
            found.append(start)
    return found


def kinds_asked_for(path: Path, kinds: set[str]) -> list[str]:
    """Return the lines of a file that ask which input kind or task they have: isinstance, match, a table or ``type``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        asked: list[ast.AST] = []
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            asked = node.args[1:]
        elif isinstance(node, ast.match_case):
            asked = [node.pattern]
        elif isinstance(node, ast.Dict):
            asked = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        names = {part.id for one in asked for part in ast.walk(one) if isinstance(part, ast.Name)}
        words = {part.value for one in asked for part in ast.walk(one) if isinstance(part, ast.Constant)}
        if names & kinds or (isinstance(node, ast.Compare | ast.Dict) and words & kinds):
            found.append(f"{path.relative_to(path.parents[1])}:{getattr(node, 'lineno', '?')}")
    return found


def kind_names() -> set[str]:
    from seqkit import registry

    registry.load_built_in()
    components = (registry._components[kind].values() for kind in registry.SPEC_KINDS)
    return {component.factory.__name__ for group in components for component in group}


def test_every_room_has_its_floor():
    assert {room(path) for path in files()} - {""} == {name for rooms in FLOORS for name in rooms}


def test_imports_point_one_way():
    assert upward(graph()) == []


def test_no_circle_between_files():
    assert circles(graph()) == []


def test_kinds_are_asked_for_in_inputs_and_tasks_only():
    kinds = kind_names()
    assert {"Tokens", "Classes", "Words"} <= kinds
    outside = [path for path in files() if room(path) not in ("", "inputs", "tasks")]
    assert [line for path in outside for line in kinds_asked_for(path, kinds)] == []


def test_planted_violations_are_found(tmp_path):
    def plant(**contents):
        for name, content in contents.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)

    plant(
        __init__="",
        errors="",
        network="def f():\n    from seqkit.evaluation import x\n",
        evaluation="import seqkit.network",
    )
    (tmp_path / "__init__.py").write_text("")
    plant(inputs__a="from seqkit.models.b import c", models__b="c = 1", tasks__t='f("seqkit.data.d")', data__d="")
    found = upward(graph(tmp_path))
    assert found == [
        "seqkit.inputs.a -> seqkit.models.b",
        "seqkit.network -> seqkit.evaluation",
        "seqkit.tasks.t -> seqkit.data.d",
    ]
    assert circles(graph(tmp_path)) == ["seqkit.evaluation", "seqkit.network"]
    asking = tmp_path / "asking.py"
    for line in (
        "isinstance(a, Tokens)", "isinstance(a, int | Tokens)", "{Tokens: 1}", "type(a) is Tokens", "type(a) == Tokens",
        "match a:\n    case Tokens():\n        pass", "type(a).__name__ == 'Tokens'",
    ):  # fmt: skip
        asking.write_text(line)
        assert kinds_asked_for(asking, {"Tokens"}), line
    asking.write_text("Tokens(a), isinstance(a, str)")
    assert not kinds_asked_for(asking, {"Tokens"})


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_home(library):
    def outside(path):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
        return found

    assert {room(path) for path in files() if library in outside(path)} <= HEAVY[library]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_slow_libraries_are_imported_where_they_are_needed(path):
    if room(path) in ("training", "hydra_cli") or path.name == "metrics.py":
        return  # imported late themselves
    body = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    assert not {name.partition(".")[0] for name in names} & SLOW
