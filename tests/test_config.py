import json

import pytest

from seqkit.config import check, config_hash, unknown_setting
from seqkit.errors import ConfigError
from seqkit.registry import load_built_in

KNOWN = (
    "data, frontend, model, head, optimizer, scheduler, trainer, logger, experiment, name, id, seed, runs, "
    "init_from, freeze"
)


def config(**changes):
    load_built_in()
    chosen = {
        "data": {"name": "adding"}, "model": {"name": "gru"}, "optimizer": {"name": "adamw"},
        "scheduler": {"name": "constant"}, "trainer": {"name": "lightning", "max_steps": 3},
    }  # fmt: skip
    return {**chosen, **changes}


def test_every_default_is_filled_in_as_plain_json():
    checked = check(config())
    assert checked == json.loads(json.dumps(checked))
    assert (checked["name"], checked["seed"], checked["runs"]) == ("adding", 1, "runs")
    assert checked["head"] is checked["logger"] is checked["frontend"] is None
    assert checked["trainer"]["log_every_n_steps"] == 20
    assert check(checked) == checked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": 3}, f"no setting 'sede'. Did you mean 'seed'? Known: {KNOWN}"),
        ({"seed": -1}, "seed=-1: input should be greater than or equal to 0"),
        ({"id": "a/b"}, "id=a/b: letters, digits and . _ - only, starting with a letter or digit"),
        (
            {"trainer": {"name": "lightning"}},
            "how long to train is not said; give trainer.max_steps=N or trainer.max_epochs=N",
        ),
        (
            {"model": None},
            "model is not chosen; say model=NAME. Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm",
        ),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ConfigError) as refusal:
        check(config(**changes))
    assert str(refusal.value) == message


def test_the_hash_is_of_what_is_computed_not_of_where_it_lies():
    checked = check(config())
    assert config_hash({**checked, "name": "b", "id": "c", "runs": "d"}) == config_hash(checked)
    assert config_hash(dict(reversed(checked.items()))) == config_hash(checked)
    assert config_hash({**checked, "seed": 2}) != config_hash(checked)


def test_an_unknown_setting_is_refused_with_the_nearest():
    assert str(unknown_setting("modle")) == f"no setting 'modle'. Did you mean 'model'? Known: {KNOWN}"
