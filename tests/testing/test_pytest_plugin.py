"""The pytest plugin, as an author's own test run sees it."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest
import seqkit
from tests.testing.mutants import frontends

@pytest.mark.seqkit("frontend=embedding", "frontend=differences")
def test_contract(check):
    check()

def test_own(check):
    check()

@pytest.fixture
def check():
    return lambda: None
"""


TYPO = """
import pytest

@pytest.mark.seqkit("frontend=embeding")
def test_typo(check):
    check()
"""


def test_each_check_is_a_test():
    Path("test_mine.py").write_text(TESTS)
    Path("test_typo.py").write_text(TYPO)
    root = Path(__file__).parents[2]
    words = ["-v", "-rs", "--strict-markers", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, env={"PYTHONPATH": str(root)}
    )
    said = done.stdout
    assert "test_mine.py::test_contract[frontend=embedding-can_be_built] PASSED" in said
    assert "test_mine.py::test_contract[frontend=differences-chunks_equal_the_whole] FAILED" in said
    assert "chunks equal the whole: in chunks its steps are" in said
    assert "Where ``looks_ahead`` is None" in said
    assert "its inputs are whole numbers" in said
    assert "seqkit: no frontend 'embeding'. Did you mean 'embedding'?" in said
    assert "Traceback" not in said + done.stderr
