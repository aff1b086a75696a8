"""Imports point one way, and heavy libraries stay where the design puts them."""

import ast
from pathlib import Path

import pytest

import seqkit

ROOT = Path(seqkit.__file__).parent
ORDER = ("errors", "files", "contracts", "schema", "registry", "network")  # each may import those before it
COMPONENTS = ("models", "frontends", "heads", "data", "scores")
USERS = ("training", "inference", "report", "runs", "experiment", "trained", "hydra_cli")
HEAVY = {
    "hydra": {"hydra_cli"},
    "omegaconf": {"hydra_cli"},
    "lightning": {"training"},
    "wandb": {"training"},
    "argparse": {"commands", "__main__"},
}
FILES = sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    """Return the top-level module or package of seqkit that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def top_level_imports(path: Path) -> set[str]:
    """Return the outside libraries that importing the file imports."""
    body = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = part(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("seqkit.")}
    if own in ORDER:
        allowed = (
            {"errors", "files", "contracts", "schema", "registry"}
            if own == "network"
            else set(ORDER[: ORDER.index(own)])
        )
        assert used <= allowed | {own}
    elif own in COMPONENTS:
        assert not used & {*USERS, "commands"}
        family = {"heads", "scores"} if own in ("heads", "scores") else {own}
        siblings = set(COMPONENTS) - family
        shared = {"seqkit.data.batching", "seqkit.files"}  # padding and files belong to nobody
        crossing = {name for name in imports(path) if name.startswith("seqkit.") and name.split(".")[1] in siblings}
        assert not {name for name in crossing if not any(name.startswith(helper) for helper in shared)} - {
            "seqkit.data"
        }
    elif own in USERS:
        assert "commands" not in used


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_home(library):
    users = {part(path) for path in FILES if any(name.partition(".")[0] == library for name in imports(path))}
    assert users <= HEAVY[library]


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in (*COMPONENTS, *ORDER)], ids=lambda p: p.name)
def test_components_import_little(path):
    slow = {"torchmetrics", "polars", "soundfile", "soxr", "matplotlib", "scipy", "hydra", "omegaconf", "lightning"}
    assert not top_level_imports(path) & slow or part(path) == "scores"
