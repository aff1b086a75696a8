"""Most mutants do not get past the dry run of a plain training: they are refused in one line."""

from pathlib import Path

import pytest
import torch

from seqkit import registry
from seqkit.data.loading import set_up
from seqkit.errors import SeqkitError
from seqkit.testing.dry_run.run import dry_run
from seqkit.testing.line import parse
from seqkit.testing.training import tiny_config
from tests.testing.mutants import registered

with registered() as found:
    MUTANTS = [mutant for mutant in found if mutant.dry_run]


def two_columns() -> dict:
    """Return data whose targets are all of several columns, for a frontend that makes a row of each."""
    rows = [f"{hour % 7},{hour % 5}" for hour in range(90)]
    Path("two.csv").write_text("\n".join(["load,heat", *rows]))
    return {"name": "series_csv", "path": "two.csv", "lookback": 8, "horizon": 2, "batch_size": 4}


def try_out(mutant) -> None:
    chosen = parse(mutant.line)
    config = tiny_config({"data": two_columns(), **chosen} if mutant.kind == "frontend" else chosen)
    data = registry.build("data", config["data"])
    set_up(data)
    dry_run(config, data, torch.device("cpu"), {"config": config})


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind}={mutant.name}")
def test_mutant_is_refused_in_one_line_that_names_it(mutant):
    with registered():
        with pytest.raises(SeqkitError) as refusal:
            try_out(mutant)
        line = str(refusal.value)
        assert "\n" not in line
        assert mutant.name in line or registry.find(mutant.kind, mutant.name).qualname in line
