import json
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace

from seqkit.data.folds import Origin
from seqkit.report.backtest import backtest_json, backtest_text
from seqkit.sweeping.backtest import Fold, facts_of


def test_scores_that_are_no_finite_numbers():
    scores = ({"mse": 1.0, "mae": 1.0}, {"mse": inf, "mae": 3.0}, {"mse": nan, "mae": 5.0})
    folds = [Fold(Path("b/x-0"), [Origin(0, "1")], {"model": own}, [], None, None, {}) for own in scores]
    facts = facts_of(folds, SimpleNamespace(best=lambda metric, scores: "model"), ["mse", "min"])
    assert (facts["mean"]["model"]["mae"], facts["deviation"]["model"]["mae"]) == (3, 2)
    assert facts["best"] == {"mae": "model"}
    assert "nan" in backtest_text(facts)
    read = json.loads(backtest_json(facts), parse_constant=lambda text: 1 / 0)
    assert read["folds"][1]["scores"]["model"] == {"mse": None, "mae": 3}
    assert read["deviation"]["model"] == {"mse": None, "mae": 2}
