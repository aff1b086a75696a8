import pytest

from seqkit import registry
from seqkit.errors import ConfigError, PluginError
from seqkit.testing.line import SUITES, parse, suite


def test_components_of_a_line():
    chosen = parse(["model=lstm", "model.num_layers=2", "model.layer_norm=true", "model.zoneout=1e-1", "data=adding"])
    assert chosen == {
        "model": {"name": "lstm", "num_layers": 2, "layer_norm": True, "zoneout": "1e-1"},
        "data": {"name": "adding"},
    }


@pytest.mark.parametrize(("line", "message"), [
    ("lstm", "'lstm': write KIND=NAME or KIND.OPTION=VALUE, such as model=lstm"),
    ("=lstm", "'=lstm': write KIND=NAME or KIND.OPTION=VALUE, such as model=lstm"),
    ("modle=lstm", "no kind of component with checks 'modle'. Did you mean 'model'? Known: " + ", ".join(sorted(SUITES))),
    ("model.hidden_size=3", "model.hidden_size: name the component first, model=NAME model.hidden_size=3"),
    ("model=lstm model.hiden_size=3", "no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'? "),
    ("model=lstm model.hidden_size=-1", "model.hidden_size=-1: input should be greater than 0"),
    ("model=lstm model.hidden_size=[", "cannot read the value in 'model.hidden_size=['"),
    ("task=nothing", "no task 'nothing'. "),
])  # fmt: skip
def test_wrong_words(line, message):
    with pytest.raises(ConfigError) as error:
        parse(line.split())
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "line", ["model=elman", "frontend=embedding", "frontend=logmel", "frontend=frames data=adding"]
)
def test_suite(line):
    kind = line.partition("=")[0]
    subject, kinds = suite(kind, parse(line.split()))
    assert kinds[0] == kind
    assert subject.where == line.split()[0]


def test_a_frontend_that_reads_nothing_made_up(monkeypatch):
    monkeypatch.setattr("seqkit.testing.specs.specs", lambda: iter([]))
    with pytest.raises(ConfigError, match="data=NAME"):
        suite("frontend", parse(["frontend=embedding"]))


@pytest.mark.usefixtures("load")
def test_a_frontend_for_one_kind_of_inputs():
    """Its author thought of no other: it is tried on, or the refusal has its line."""

    class OfTokens:
        output_size = 1

        def __init__(self, spec):
            self.size = len(spec.inputs.vocabulary)

    registry.register_frontend("of_tokens")(OfTokens)
    subject, _ = suite("frontend", parse(["frontend=of_tokens"]))
    assert subject.make().size == 9

    class OfNothing(OfTokens):
        def __init__(self, spec):
            self.size = spec.inputs.size

    registry.register_frontend("of_nothing")(OfNothing)
    with pytest.raises(ConfigError, match=r"AttributeError: .* 'size' \(.*test_line.py:\d+\); name data that fit it"):
        suite("frontend", parse(["frontend=of_nothing"]))


@pytest.mark.usefixtures("load")
def test_data_that_cannot_be_set_up():
    class Broken:
        batch_size = 1

        def setup(self):
            raise KeyError("pulses")

        part = collate = order = setup

    registry.register_data("broken")(Broken)
    with pytest.raises(PluginError, match=r"data=broken: setup fails \(.*test_line.py:\d+\): KeyError: 'pulses'"):
        suite("frontend", parse(["frontend=embedding", "data=broken"]))
