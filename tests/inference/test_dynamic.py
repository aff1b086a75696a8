import argparse
import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import seqkit
from seqkit.commands import evaluate
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.data.text import collate
from seqkit.errors import ConfigError
from seqkit.inference import dynamic
from seqkit.inference.dynamic import DynamicNetwork, dynamic_scores
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Bytes
from seqkit.network import assemble
from seqkit.tasks.next_token.spec import NextToken

NAMES = ("ada", "bob", "cyd", "dee", "eve", "fay")
SMALL = ["data=text_files", "data.path=book.txt", "data.batch_size=4", "data.seq_len=9", "data.eval_streams=3", "id=x"]
SMALL += ["model.hidden_size=8", "trainer.accelerator=cpu", "trainer.max_steps=60", "model.num_layers=1"]


@pytest.fixture
def trained():
    lines = "".join(f"{name} said {name} to {name}\n" for name in NAMES) * 12
    late = "".join(f"zoe has {name} zoe has\n" for name in NAMES) * 8  # what the training part had not
    Path("book.txt").write_text(lines + late)
    seqkit.train([*SMALL, "data.split=[0.55,0.2,0.25]"])
    return seqkit.load("runs/text_files/x", "cpu")


def test_a_model_that_learns_while_it_reads_stands_beside_itself_and_changes_nothing(trained, monkeypatch):
    monkeypatch.setattr(dynamic, "LRS", (1e-3,))
    monkeypatch.setattr(dynamic, "LARGER_LRS", ())
    weights = copy.deepcopy(trained.network.state_dict())
    stored = {path: path.read_bytes() for path in Path("runs/text_files/x/checkpoints").iterdir()}
    plain = trained.evaluate()
    found = trained.evaluate(dynamic=4)
    own = found.pop("model with dynamic evaluation")
    assert found == plain
    assert own.keys() - plain["model"].keys() == {"dynamic_lr", "dynamic_decay"}
    assert own["dynamic_lr"] == 1e-3
    assert own["dynamic_decay"] in dynamic.DECAYS
    assert own["bits_per_character"] < plain["model"]["bits_per_character"]
    assert trained.evaluate(batch_size=2, dynamic=4)["model with dynamic evaluation"] == own
    torch.testing.assert_close(trained.network.state_dict(), weights, rtol=0, atol=0)
    assert {path: path.read_bytes() for path in stored} == stored


@pytest.mark.parametrize("lengths", [None, [7]])
def test_steps_are_those_of_the_paper(lengths):
    spec = DataSpec(Tokens(Bytes()), NextToken())
    network = assemble({"frontend": None, "model": {"name": "gru", "hidden_size": 5}, "head": None}, spec).double()
    own = DynamicNetwork(network, 4)
    ids = torch.randint(5, (1, 10))
    batch = Batch(ids[:, :-1], None if lengths is None else torch.tensor(lengths), ids[:, 1:])
    own.observe(batch, None)
    own.start(0.01, 0.2)

    def gradients(part, state):
        outputs, _, state = network(part, state)
        loss = torch.nn.functional.cross_entropy(outputs[0], part.targets[0])
        return outputs, torch.autograd.grad(loss, list(network.parameters())), tuple(each.detach() for each in state)

    end = 9 if lengths is None else 7
    roots = [each.abs() for each in gradients(Batch(ids[:, :end], None, ids[:, 1 : end + 1]), None)[1]]
    mean = torch.cat([each.flatten() for each in roots]).mean()
    start, state, due = copy.deepcopy(list(network.parameters())), None, []
    for low in range(0, end, 4):
        high = min(end, low + 4)
        outputs, found, state = gradients(Batch(ids[:, low:high], None, ids[:, low + 1 : high + 1]), state)
        due.append(outputs)
        with torch.no_grad():
            for weight, trained_weight, gradient, root in zip(network.parameters(), start, found, roots, strict=True):
                moved = weight - 0.01 * gradient / (root + mean / 100)
                weight.copy_(moved + (0.2 * root / mean).clamp(max=1) * (trained_weight - moved))
    outputs, _, after = own(batch)
    torch.testing.assert_close(outputs[:, :end], torch.cat(due, 1))
    torch.testing.assert_close(after, state)
    torch.testing.assert_close(list(own.parameters()), list(network.parameters()))


def test_where_nothing_helps_it_is_the_model_itself_and_what_cannot_be_is_refused(trained, monkeypatch):
    monkeypatch.setattr(dynamic, "LRS", (10.0, 100.0))
    data = trained.data()
    scores = dynamic_scores(trained.network, trained.spec, data, "test", 4)
    assert (scores.pop("dynamic_lr"), scores.pop("dynamic_decay")) == (0, 0)
    assert scores == trained.evaluate()["model"]
    with pytest.raises(ConfigError, match=r"^dynamic=0: give 1 token or more after which the weights change$"):
        trained.evaluate(dynamic=0)
    with pytest.raises(ConfigError, match=r"^dynamic evaluation is chosen on the validation part, so a score there"):
        trained.evaluate("valid", dynamic=4)
    data.collate = lambda samples: replace(collate(samples), fresh_B=None)
    with pytest.raises(
        ConfigError, match=r"^dynamic evaluation reads a text in its order; these data are sequences by"
    ):
        dynamic_scores(trained.network, trained.spec, data, "test", 4)
    monkeypatch.setattr(type(trained.network), "takes_chunks", lambda *_: False)
    with pytest.raises(ConfigError, match=r"^dynamic evaluation reads a text piece by piece, which this network does"):
        trained.evaluate(dynamic=4)


@pytest.mark.parametrize(("best", "last"), [(1e-2, 3e-2), (1.0, 0.1), (1e-4, 3e-4), (0.0, 1e-3)])
def test_larger_rates_are_tried_while_the_last_is_the_best(best, last, monkeypatch):
    spec, rates = DataSpec(Tokens(Bytes()), NextToken()), []
    network = assemble({"frontend": None, "model": {"name": "gru", "hidden_size": 5}, "head": None}, spec)

    def scored(own, *_, **__):
        rates.append(own.lr)
        return SimpleNamespace(model={"bits_per_character": abs(own.lr - best)})

    monkeypatch.setattr(dynamic, "evaluation_loader", lambda *_: [])
    monkeypatch.setattr(dynamic, "evaluate", scored)
    scores = dynamic_scores(network, spec, SimpleNamespace(batch_size=1), "test", 4)
    assert scores["dynamic_lr"] == min(best, 0.1)
    assert max(rates) == last


def test_another_task_is_refused(finished):
    with pytest.raises(
        ConfigError, match=r"^dynamic evaluation is for a model with head=next_token; this one predicts"
    ):
        seqkit.load(finished).evaluate(dynamic=5)


def test_several_ranks_are_refused():
    arguments = argparse.ArgumentParser()
    evaluate.add_arguments(arguments)
    with pytest.raises(ConfigError, match=r"^--dynamic reads one text in its order, so it runs in one process; leave"):
        evaluate.run(arguments.parse_args(["runs/x", "--dynamic", "5", "--devices", "2"]))
