import pytest

from seqkit.errors import ConfigError
from seqkit.testing import CheckError, check_head
from seqkit.testing.check import CHECKS, require
from seqkit.testing.heads import suite
from seqkit.testing.line import parse
from tests.testing.built_in import lines
from tests.testing.mutants import registered

OPTIONS = [
    "head=classify head.pooling=last", "head=classify head.pooling=max", "head=classify head.pooling=attention",
    "head=forecast head.anchor=zero head.loss=huber head.dropout=0.5", "head=forecast data=adding",
    "head=tag head.crf=true", "head=tag head.dropout=0.5",
    "head=classify head.dropout=0.5 head.label_smoothing=0.1", "head=next_token data=python_source data.seq_len=200",
    "head=next_token head.cutoffs=[3,9] head.ar=2 head.tar=1",
]  # fmt: skip


@pytest.mark.seqkit(*lines("head"), *(line for line in OPTIONS if " data=" not in line))
def test_built_in_heads(check):
    check()


@pytest.mark.parametrize(("head", "data"), [("forecast", "adding"), ("next_token", "python_source")])
def test_on_named_data(head, data):
    check_head(head, data=data)


@pytest.mark.parametrize(
    "line",
    [
        "head=forecast data=sea_temperature frontend=frames frontend.channels=apart",
        "head=classify head.pooling=last model=lstm model.hidden_size=4 model.bidirectional=true",
        "head=forecast model=gru model.hidden_size=4 model.bidirectional=true",
    ],
)
def test_between_other_parts(line):
    require(*suite(parse(line.split())))


@pytest.mark.parametrize(("module", "head"), [("quantile", "quantile"), ("piano_roll", "notes")])
def test_heads_of_the_example_plugins(load, module, head):
    load(f"tests.plugins.{module}")
    check_head(head)


def test_data_is_the_first_whose_task_names_the_head_or_that_it_takes(load):
    for head, task in (("classify", "Classes"), ("forecast", "Series"), ("transcribe", "Transcript")):
        assert type(suite({"head": {"name": head}})[0].spec.task).__name__ == task
    load("tests.plugins.quantile")
    assert type(suite({"head": {"name": "quantile"}})[0].spec.task).__name__ == "Series"


def test_a_head_that_serves_no_data_that_is_there(load):
    load("tests.plugins.piano_roll")
    from seqkit import registry

    del registry._components["data"]["piano_roll"]
    with pytest.raises(ConfigError, match="head=notes serves none .* use head="):
        suite({"head": {"name": "notes"}})[0].get_data()


def test_every_failure_is_a_line():
    with registered(), pytest.raises(CheckError) as error:
        check_head("loss_alone", data="timing")
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "loss_is_a_total_and_a_count",
        "loss_is_the_sum_over_the_rows",
        "loss_has_a_gradient_for_every_parameter",
        "docstring_explains_every_option",
    ]


def test_checks_of_every_kind_are_explained():
    for kind in ("head", "task", "data", "optimizer", "scheduler", "logger"):
        __import__(f"seqkit.testing.{'data' if kind == 'data' else kind + 's'}")
        assert all(check.doc.endswith(".") for check in CHECKS[kind])


def test_a_head_that_cannot_be_built_fails_once():
    with pytest.raises(CheckError, match=r"\Acan_be_built: head=classify needs classes.*\Z"):
        check_head("classify", data="adding")
