import logging
import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.data.ordering import sequential, stream_starts, streams
from seqkit.errors import PluginError, SeqkitError
from seqkit.evaluation import Scorer, evaluate, rounded
from seqkit.network import Network
from tests.in_threads import on_ranks


class Mean(Metric):
    """Mean over the steps of the predictions, and their number."""

    def __init__(self, name="mean"):
        super().__init__()
        self.name = name
        self.add_state("total", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), "sum")

    def update(self, prediction, batch):
        self.total += prediction.double().sum()
        self.count += prediction.numel()

    def compute(self):
        return {self.name: self.total / self.count, "count": self.count}


class Task:
    def __init__(self, baselines=None):
        self.found = baselines or {}

    def metrics(self, spec):
        return Mean()

    def baselines(self, spec, data, split):
        return self.found


class Sum(nn.Module):
    """The sum of all inputs so far, so that every output shows the state that was carried."""

    output_size = 1

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x_BT1, lengths_B=None, state=None):
        start_B1 = torch.zeros(len(x_BT1), 1) if state is None else state[0][0]
        y_BT1 = self.dropout(start_B1[:, None] + self.weight * x_BT1.cumsum(1))
        return y_BT1, (y_BT1[None, :, -1],)


class Head(nn.Module):
    def forward(self, y_BT1, lengths_B, batch):
        return y_BT1[..., 0]

    def predict(self, outputs, lengths_B, batch):
        return outputs


class OwnHead(Head):
    def metrics(self):
        return Mean("own")


class Frontend(nn.Module):
    output_size = 1

    def forward(self, inputs, lengths_B):
        return inputs[..., None], lengths_B


class Numbers:
    """Samples of two steps, the sample's number; as streams where ``count`` is given."""

    spec = None

    def __init__(self, size=10, count=None):
        self.size, self.count = size, count

    def part(self, split):
        return range(self.size)

    def collate(self, samples):
        fresh_B = None
        if self.count:
            starts = stream_starts(self.size, self.count)
            fresh_B = torch.tensor([sample in starts for sample in samples])
        return Batch(torch.tensor([[float(sample)] * 2 for sample in samples]), fresh_B=fresh_B)

    def order(self, split, batch_size, seed, epoch):
        return streams(self.size, self.count, batch_size) if self.count else sequential(self.size, batch_size)


def network(head=None):
    return Network(Frontend(), Sum(), head or Head())


def scores(net=None, data=None, baselines=None, batch_size=3, beside=True):
    spec = SimpleNamespace(task=Task(baselines))
    return evaluate(net or network(), spec, data or Numbers(), "test", batch_size, beside)


def zeros(batch):
    return torch.zeros_like(batch.inputs)


def test_every_sample_is_scored_once_with_the_model_in_evaluation_mode():
    net = network().train()
    found = scores(net)
    assert found.model == {"mean": 6.75, "count": 20.0}  # of n and 2n for n from 0 to 9
    assert not net.training


def test_baselines_are_scored_beside_the_model_unless_they_are_left_out():
    found = scores(baselines={"zeros": zeros, "known": {"mean": 1.23456789}})
    assert found.baselines == {"known": {"mean": 1.23457}, "zeros": {"mean": 0.0, "count": 20.0}}
    assert scores(baselines={"zeros": zeros}, beside=False).baselines == {}


def test_a_baseline_that_fails_is_dropped_with_a_warning(caplog):
    def failing(batch):
        raise RuntimeError("no such row")

    with caplog.at_level(logging.WARNING, "seqkit"):
        found = scores(baselines={"broken": failing, "zeros": zeros})
    assert set(found.scores) == {"model", "zeros"}
    assert found.model["count"] == 20
    [line] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(
        r"baseline 'broken' fails and is left out: RuntimeError: no such row \(.*evaluation\.py:\d+\)", line
    )
    assert found.missing == ["baseline 'broken'"]


class OverTime(Task):
    """Adds to each prediction the sum of the inputs of all samples before it."""

    def over_time(self, spec):
        total = [0.0]

        def change(prediction, batch):
            before = []
            for row in batch.inputs:
                before.append(total[-1])
                total.append(total[-1] + float(row.sum()))
            return prediction + torch.tensor(before)[:, None]

        return change


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_predictions_are_changed_by_those_before_them_on_any_number_of_ranks(ranks, size, batch_size):
    def work(rank):
        return [
            evaluate(network(), SimpleNamespace(task=OverTime()), Numbers(), "test", batch_size, before=given).model
            for given in ((), [Batch(torch.tensor([[1.0] * 2])), Batch(torch.tensor([[5.0] * 2]))])
        ]

    # 6.75 as without; of samples 2n before n from 0 to 9 on average 24, and anew in each evaluation; 12 of those given.
    assert ranks(size, work) == [[{"mean": 30.75, "count": 20.0}, {"mean": 42.75, "count": 20.0}]] * size


def test_batches_before_are_not_made_where_no_prediction_depends_on_them():
    def before():
        raise AssertionError
        yield

    spec = SimpleNamespace(task=Task())
    assert evaluate(network(), spec, Numbers(), "test", 3, before=before()).model == scores().model


def test_a_heads_own_metrics_are_added_to_the_model_only():
    found = scores(network(OwnHead()), baselines={"zeros": zeros})
    assert found.model == {"mean": 6.75, "own": 6.75, "count": 20.0}
    assert set(found.baselines["zeros"]) == {"mean", "count"}


def test_state_is_carried_along_streams_and_reset_between_two_evaluations():
    net = network()
    sums, total = 0, 0
    for sample in range(10):
        total = 0 if sample == 5 else total
        sums += (total + sample) + (total + 2 * sample)
        total += 2 * sample
    assert scores(net, Numbers(count=2)).model["mean"] == sums / 20
    assert scores(net, Numbers(count=2)).model["mean"] == sums / 20


@pytest.mark.parametrize("count", [None, 4])
def test_any_batch_size_gives_the_same_scores(count):
    found = [scores(data=Numbers(11, count), baselines={"zeros": zeros}, batch_size=size).scores for size in (1, 3, 20)]
    assert found[0] == found[1] == found[2]


def test_state_is_not_carried_where_there_are_no_streams():
    scorer = Scorer(network().eval(), SimpleNamespace(task=Task()))
    for _ in range(2):
        scorer.update(Batch(torch.ones(1, 2)))
    assert scorer.compute() == {"model": {"mean": 1.5, "count": 4.0}}


def test_scores_have_six_significant_digits():
    assert [rounded(value) for value in (123456.789, 0.000123456789, 0.0)] == [123457.0, 0.000123457, 0.0]


class Computed(Mean):
    """A metric that computes what it is told, whatever it was given."""

    def compute(self):
        return self.name


RETURNED = {
    "a number": (lambda: 3, "{}.metrics returned an int; it must return a torchmetrics.Metric, which can be moved"),
    "a function": (lambda: zeros, "{}.metrics returned a function; it must return a torchmetrics.Metric"),
    "no dict": (lambda: Computed(torch.ones(2)), "the metric of {}: compute returned a tensor of shape (2,); it must "
                "return a dict from the name of a score to its number"),
    "a vector": (lambda: Computed({"x": torch.ones(2)}), "the metric of {}: compute returned a tensor of shape (2,) as "
                 "'x'; it must return a dict"),
    "words": (lambda: Computed({"x": "good"}), "the metric of {}: compute returned a str as 'x'; it must return a dict"),
}  # fmt: skip


@pytest.mark.parametrize("what", RETURNED)
@pytest.mark.parametrize("owner", ["Task", "Head"])
def test_a_metric_that_gives_no_scores_is_refused_by_the_name_of_its_task_or_head(owner, what):
    metrics, line = RETURNED[what]
    task, head = Task(), Head()
    (task if owner == "Task" else head).metrics = lambda *_: metrics()
    with pytest.raises(PluginError) as refusal:
        Scorer(network(head).eval(), SimpleNamespace(task=task)).compute()
    assert str(refusal.value).startswith(line.format(owner))


class Values(Metric):
    """The largest and the mean of all predictions, kept one by one."""

    def __init__(self):
        super().__init__()
        self.add_state("values", [], "cat")

    def update(self, prediction, batch):
        self.values.append(prediction.double().flatten())

    def compute(self):
        values = torch.cat(self.values)
        return {"largest": values.max(), "of all": values.mean()}


class ListHead(Head):
    def metrics(self):
        return Values()


@pytest.fixture
def ranks(monkeypatch):
    def scored(size, work):
        return on_ranks(size, work, monkeypatch, ("seqkit.evaluation", "seqkit.data.loading"))

    return scored


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 20])
@pytest.mark.parametrize("count", [None, 4])
def test_any_number_of_ranks_gives_the_same_scores_on_each(ranks, size, batch_size, count):
    def work(rank):
        baselines = {"zeros": zeros, "known": {"mean": 1.5}}
        return scores(network(ListHead()), Numbers(11, count), baselines, batch_size).scores

    alone = scores(network(ListHead()), Numbers(11, count), {"zeros": zeros, "known": {"mean": 1.5}}).scores
    assert ranks(size, work) == [alone] * size


def test_the_metric_of_rank_0_holds_all_samples_for_the_figures(ranks):
    found = ranks(2, lambda rank: scores(data=Numbers(11)).metric)
    assert found[0].compute()["count"] == 22
    assert found[1].compute()["count"] == 8  # its row of each batch of 3


def test_what_fails_on_one_rank_is_left_out_on_all(ranks, caplog):
    class Fails(Mean):
        def update(self, prediction, batch):
            if 7 in batch.inputs:
                raise ValueError("seven")
            super().update(prediction, batch)

    def failing(batch):
        if 3 in batch.inputs:
            raise RuntimeError("three")
        return zeros(batch)

    def work(rank):
        head = Head()
        head.metrics = lambda: Fails("own")
        spec = SimpleNamespace(task=Task({"broken": failing, "zeros": zeros}))
        return evaluate(network(head), spec, Numbers(), "test", 2, forgiving=True)

    with caplog.at_level(logging.WARNING, "seqkit"):
        first, second = ranks(2, work)
    assert first.scores == second.scores == {"model": {"mean": 6.75, "count": 20}, "zeros": {"mean": 0, "count": 20}}
    assert first.missing == ["baseline 'broken'", "the metric of the head"]
    lines = {record.getMessage() for record in caplog.records}
    assert any(
        line.startswith("baseline 'broken' fails on rank 1 and is left out: RuntimeError: three") for line in lines
    )


def test_an_evaluation_that_fails_on_one_rank_fails_on_all_where_the_report_goes_on(ranks):
    class Broken(Numbers):
        def part(self, split):
            return [sample if sample != 3 else None for sample in range(self.size)]

    def work(rank):
        try:
            evaluate(network(), SimpleNamespace(task=Task()), Broken(), "test", 2, forgiving=True)
        except (TypeError, SeqkitError) as error:
            return type(error).__name__, str(error)[:16], scores().model["count"]

    found = ranks(2, work)
    assert found[0] == ("TrainingError", "rank 1: TypeErro", 20)
    assert found[1][0] == "TypeError"
    assert found[1][2] == 20


class Aside(Mean):
    """Keeps the number of predictions where nobody joins it."""

    def __init__(self):
        super().__init__()
        self.seen = {"predictions": 0}

    def update(self, prediction, batch):
        super().update(prediction, batch)
        self.seen["predictions"] += prediction.numel()


class MeanState(Metric):
    def __init__(self):
        super().__init__()
        self.add_state("level", torch.zeros(()), "mean")

    def update(self, prediction, batch):
        self.level = prediction.mean()

    def compute(self):
        return {"level": self.level}


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        (Aside, "Aside.seen changes in update and is no state, so over several ranks it would hold the samples of one"),
        (MeanState, "MeanState: the mean of 'level' over ranks is not the mean over their samples"),
    ],
)
def test_a_metric_that_cannot_be_joined_is_refused(ranks, metric, line):
    def work(rank):
        spec = SimpleNamespace(task=Task())
        spec.task.metrics = lambda spec: metric()
        return evaluate(network(), spec, Numbers(), "test", 3)

    found = ranks(2, work)
    assert isinstance(found[0], PluginError)
    assert line in str(found[0])


def test_a_metric_of_one_rank_alone_does_not_wait_for_the_others():
    scores()
    assert not Mean().distributed_available_fn()
