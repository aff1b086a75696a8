"""README and docs/: links lead somewhere, code runs, and everything that is named exists."""

import re
import shlex
from pathlib import Path

import pytest

from seqkit.__main__ import run
from tests import pages
from tests.test_imports import FLOORS

ARCHITECTURE = pages.ROOT / "docs" / "architecture.md"
every_page = pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))


@pytest.fixture
def _own_registry(monkeypatch):
    """Leave what a page registers to that page."""
    from seqkit import registry

    registry.load_built_in()
    copy = {kind: dict(group) for kind, group in registry._components.items()}
    monkeypatch.setattr(registry, "_components", copy)


def test_readme_is_short():
    assert len(pages.README.read_text().splitlines()) <= 150


@every_page
def test_links_lead_somewhere(page):
    for target in pages.links(page):
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), target
        assert place.is_relative_to(pages.ROOT), target
        if anchor:
            assert anchor in pages.anchors(place), target


def test_every_page_is_linked():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages.PAGES
        for target in pages.links(page)
        if (page.parent / target.partition("#")[0]).resolve() != page
    }
    files = {path for path in (pages.ROOT / "docs").rglob("*") if path.is_file()}
    assert files - linked == set()


@every_page
def test_everything_named_exists(page):
    assert pages.unknown_names(page.read_text()) == set()


RUNNABLE = [(page, block) for page in pages.PAGES for block in pages.blocks(page, "python runnable")]


@pytest.mark.parametrize(
    ("page", "block"), RUNNABLE, ids=[f"{page.stem}-{number}" for number, (page, _) in enumerate(RUNNABLE)]
)
@pytest.mark.usefixtures("_own_registry")
def test_runnable_code_runs(page, block):
    exec(compile(block, str(page), "exec"), {"__name__": page.stem})


def test_some_code_is_runnable():
    assert len(RUNNABLE) >= 3


def test_stops_of_the_journeys_exist():
    assert pages.missing_stops(ARCHITECTURE.read_text().partition("\n## Three journeys\n")[2]) == []


def test_layout_names_what_is_there():
    layout = ARCHITECTURE.read_text().partition("\n## Layout\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+/)` \| ([^|]+) \|", layout, re.M)
    named = [Path(folder, file) for folder, files in rows for file in re.findall(r"`([\w.]+)`", files)]
    there = {path.relative_to(pages.ROOT) for path in (pages.ROOT / "seqkit").rglob("*.py")}
    assert {path for path in named if not (pages.ROOT / path).is_file()} == set()
    assert {path for path in named if named.count(path) > 1} == set()
    assert {path for path in there - set(named) if path.name != "__init__.py"} == set()
    rooms = {path.parts[1].removesuffix(".py") for path in named if path.parts[0] == "seqkit"}
    assert rooms - {"__init__"} == {name for floor in FLOORS for name in floor}


def test_order_of_imports_is_that_of_the_test():
    order = " -> ".join(floor[0] if len(floor) == 1 else "{" + ", ".join(floor) + "}" for floor in FLOORS)
    assert order in " ".join(ARCHITECTURE.read_text().split())


def test_commands_of_the_cluster_page_are_run_under_slurm():
    sections = re.split(r"^## ", pages.CLUSTER.read_text(), flags=re.M)[1:]
    with_commands = {section.partition("\n")[0] for section in sections if re.search(r"\n\n {4}\S", section)}
    tests = (pages.ROOT / "tests" / "slurm" / "test_page.py").read_text()
    assert set(re.findall(r"\.(?:does|submits)\(\"([^\"]+)\"", tests)) == with_commands
    assert not any("seqkit" in block for block in pages.blocks(pages.CLUSTER, ""))


def test_commands_of_the_cluster_page_compose(capsys):
    text = pages.CLUSTER.read_text().replace("\\\n", " ").replace("n_trials=30", "n_trials=2")
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^ {4}seqkit (train .+)$", text, re.M)]
    assert len(commands) >= 8
    for words in commands:
        if "--resume" not in words:
            assert run([*words, "--cfg", "job"]) == 0, capsys.readouterr().err


def test_checks_can_fail(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One Page\n\n[gone](gone.md#a) [web](https://example.org)\n\n    [code](no.md)\n\n```\n[c](no.md)\n```\n"
    )
    assert pages.links(page) == ["gone.md#a"]
    assert pages.anchors(page) == {"one-page"}
    text = "`seqkit trian experiment=no model=lstm,gruu model.hiden_size=3 head.decoder=greedy`"
    assert pages.unknown_names(text) == {"trian", "experiment=no", "model=gruu", "model.hiden_size"}
    assert pages.missing_stops("`network.py:Network.forward` `network.py:nothing` `none/at_all.py`") == [
        "network.py:nothing", "none/at_all.py",
    ]  # fmt: skip
