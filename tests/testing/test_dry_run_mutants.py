"""Most mutants do not get past the dry run of a plain training: they are refused in one line, before the first step."""

from pathlib import Path

import pytest

from seqkit import experiment, registry
from seqkit.errors import SeqkitError
from seqkit.runs.folder import RunFolder
from seqkit.testing.line import parse
from seqkit.testing.training import tiny_config
from tests.testing.mutants import registered

with registered() as found:
    MUTANTS = [mutant for mutant in found if mutant.dry_run]


@pytest.fixture(autouse=True)
def _no_step(monkeypatch):
    """Let a training that begins be a failure, not seconds."""
    monkeypatch.setattr("seqkit.training.fit.fit", lambda *_: pytest.fail("the training begins"))


def two_columns() -> dict:
    """Return data whose targets are all of several columns, for a frontend that makes a row of each."""
    rows = [f"{hour % 7},{hour % 5}" for hour in range(90)]
    Path("two.csv").write_text("\n".join(["load,heat", *rows]))
    return {"name": "series_table", "path": "two.csv", "lookback": 8, "horizon": 2, "batch_size": 4}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind}={mutant.name}")
def test_mutant_is_refused_in_one_line_that_names_it(mutant):
    with registered():
        chosen = parse(mutant.line)
        config = tiny_config({"data": two_columns(), **chosen} if mutant.kind == "frontend" else chosen)
        with pytest.raises(SeqkitError) as refusal:
            experiment.train({**config, "name": "mutant", "runs": "runs", "id": "a"})
        line = str(refusal.value)
        assert "\n" not in line
        assert mutant.name in line or registry.find(mutant.kind, mutant.name).qualname in line
        assert not RunFolder(Path("runs/mutant/a")).started
