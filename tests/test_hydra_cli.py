import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqkit.errors import ConfigError
from seqkit.hydra_cli import _typed_words, compose, explain


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("-m model=gru,lstm seed=1", "model=gru,lstm seed=1 -m"),
        ("--cfg job model=gru", "model=gru --cfg job"),
        ("seed=1 --multirun", "seed=1 --multirun"),
        ("logger=null seed=1", "~logger seed=1"),
        ("", ""),
    ],
)
def test_flags_go_last(typed, given):
    assert _typed_words(typed.split()) == given.split()


@pytest.mark.parametrize("second", ["seed=2", "+seed=2", "++seed=2", "~seed"])
def test_a_key_given_twice_is_refused(second):
    with pytest.raises(ConfigError) as refusal:
        _typed_words(["seed=1", "model=gru", second])
    assert str(refusal.value) == f"'seed' is given twice: seed=1 and {second}; give it once"


def test_compose_takes_the_later_of_two():
    config = compose(["experiment=adding", "seed=1", "seed=2", "logger=null"])
    assert (config["seed"], config["logger"], config["data"]["name"]) == (2, None, "adding")


def test_other_errors_become_one_line():
    assert str(explain(ValueError("first\n   second"))) == "first second"


def test_a_missing_value_is_named():
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.to_container(OmegaConf.create({"data": {"path": "???"}}), throw_on_missing=True)
    assert str(explain(caught.value)) == "data.path is required; say data.path=VALUE"


def test_the_cause_of_an_error_is_explained():
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.to_container(OmegaConf.create({"a": "???"}), throw_on_missing=True)
    error = RuntimeError("outer")
    error.__cause__ = caught.value
    assert str(explain(error)) == "a is required; say a=VALUE"
