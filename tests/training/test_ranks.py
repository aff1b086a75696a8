"""Several ranks train as one process does: the losses of all steps, the weights, and a run that goes on on others."""

import pytest
import torch
from torch import distributed as dist
from torch import nn

from seqkit.errors import TrainingError
from seqkit.hydra_cli import compose
from seqkit.ranks.group import Group
from seqkit.runs.checkpoint import Checkpoint
from seqkit.training.module import SequenceModule
from seqkit.training.strategy import Copies, bits_of
from tests.in_ranks import losses, losses_on_ranks

TOLERANCE = {"32-true": 1e-5, "64-true": 1e-11}  # relative; a sum over rows is put together in another order


def text(folder, rows=4, steps=4):
    """Text in streams of ``steps`` chunks and one of one more, so that the last batch of a pass has one row only."""
    whole = "".join(f"line {i} of a text that is {i * i} long\n" for i in range(2000))
    size = (rows * steps + 1) * 10
    parts = {"train": whole[:size], "valid": whole[size : size + 210], "test": whole[-210:]}
    for name, content in parts.items():
        (folder / f"{name}.txt").write_text(content)
    return [
        "data=text_files", *(f"data.{name}={folder / name}.txt" for name in parts),
        "data.seq_len=10", f"data.batch_size={rows}", "data.eval_streams=5",
    ]  # fmt: skip


def config(*overrides, rate=0.01):
    of_all = [
        "model.hidden_size=6", f"optimizer.lr={rate}", "scheduler.warmup=3", "trainer.accelerator=cpu",
        "trainer.log_every_n_steps=1",
    ]  # fmt: skip
    return compose([*of_all, *overrides])


def largest_difference(some, others):
    """Return the largest relative difference of two lists of losses."""
    assert len(some) == len(others)
    return max(abs(one - other) / abs(one) for one, other in zip(some, others, strict=True))


def test_two_ranks_train_as_one_does_also_where_one_has_no_row_and_the_run_goes_on_on_fewer(tmp_path, monkeypatch):
    learned = ["model.num_layers=2", "model.learned_state=true", "trainer.max_steps=12", "trainer.val_check_interval=6"]
    every = config(*text(tmp_path), *learned, "trainer.checkpoint_every_n_steps=1")
    random = config(
        *text(tmp_path), *learned, "model.dropout=0.3", "trainer.checkpoint_every_n_steps=1", "trainer.ema=0.9",
        f"init_from={tmp_path}/ddp/checkpoints/best.ckpt", "freeze=[model.layers.0]", "optimizer.groups={head:0.5}",
        "data.random_seq_len=true",
    )  # fmt: skip
    one_row = config(*text(tmp_path, rows=1), "trainer.max_steps=3", "trainer.val_check_interval=3")
    with_strategy = {
        name: {"config": {**every, "trainer": {**every["trainer"], "strategy": name}}, "folder": str(tmp_path / name)}
        for name in ("ddp", "fsdp")
    }
    sharded = {**random, "trainer": {**random["trainer"], "strategy": "fsdp"}}
    moved = str(tmp_path / "moved")
    jobs = [
        *with_strategy.values(),
        {"config": one_row, "folder": str(tmp_path / "one row")},
        {"config": sharded, "folder": str(tmp_path / "whole")},
        {"config": sharded, "folder": str(tmp_path / "cut"), "stop": 8},
        {"config": sharded, "folder": str(tmp_path / "cut")},
        {"config": every, "folder": moved, "stop": 5},
    ]
    ddp, fsdp, of_one_row, *_, before = losses_on_ranks(jobs, 2, tmp_path, monkeypatch)

    alone = losses(every, tmp_path / "alone")
    assert largest_difference(alone, ddp) < TOLERANCE["32-true"]
    assert largest_difference(alone, fsdp) < TOLERANCE["32-true"]
    assert largest_difference(losses(one_row, tmp_path / "one row alone"), of_one_row) < TOLERANCE["32-true"]
    whole, cut = (Checkpoint.read(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "cut"))
    assert all(torch.equal(value, cut.weights[name]) for name, value in whole.weights.items())  # averaged
    raw, source = whole.content["state_dict"], Checkpoint.read(tmp_path / "ddp/checkpoints/best.ckpt").weights
    assert all(torch.equal(value, cut.content["state_dict"][name]) for name, value in raw.items())
    changed = {name for name, value in source.items() if not torch.equal(value, raw[f"network.{name}"])}
    assert changed == {name for name in source if not name.startswith("model.layers.0.")}  # frozen

    between = losses(every, moved, stop=10)  # on one rank, from the checkpoint of two after step 4
    after = losses_on_ranks([{**with_strategy["fsdp"], "folder": moved}], 2, tmp_path, monkeypatch)[0]
    assert largest_difference(alone, before[:-1] + between[:-1] + after) < TOLERANCE["32-true"]


KINDS = {
    "text": lambda folder: text(folder, rows=32, steps=20),
    "series": lambda folder: [
        "experiment=sea_temperature", "data.lookback=8", "data.horizon=2", "data.split=[426,40,40]",
        "data.batch_size=32", "model.dropout=0", "head.dropout=0",
    ],
    "audio": lambda folder: [
        "experiment=morse", "data.train_size=65", "data.valid_size=9", "data.words=[1,2]", "data.batch_size=32",
    ],
}  # fmt: skip
WAYS = {
    "": [],
    "accumulation": ["trainer.accumulate_grad_batches=2"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "trainer.gradient_clip_val=0.05"],
}


@pytest.mark.slow
def test_the_losses_of_50_steps_are_those_of_one_rank(tmp_path, monkeypatch):
    jobs = []
    for kind, overrides in KINDS.items():
        for precision in TOLERANCE:
            for way, more in WAYS.items():
                for strategy in ("ddp", "fsdp"):
                    options = [
                        f"trainer.precision={precision}", f"trainer.strategy={strategy}", "trainer.max_steps=50",
                        "trainer.val_check_interval=10", "trainer.early_stopping_patience=3", "model.hidden_size=12",
                    ]  # fmt: skip
                    name = f"{kind} {precision} {way} {strategy}"
                    rate = 0.001 if kind == "audio" else 0.01  # at 0.01 its training amplifies a rounding a hundredfold
                    chosen = config(*overrides(tmp_path), *more, *options, rate=rate)
                    jobs.append({"config": chosen, "folder": str(tmp_path / name)})
    on_two = losses_on_ranks(jobs, 2, tmp_path, monkeypatch)
    differences = {}
    for job, theirs in zip(jobs, on_two, strict=True):
        alone = losses(job["config"], tmp_path / "alone" / job["folder"][1:])
        differences[job["folder"].rpartition("/")[2]] = largest_difference(alone, theirs), len(alone)
    print("\n".join(f"{name}: {value:.1e} over {count} losses" for name, (value, count) in differences.items()))
    for name, (value, _) in differences.items():
        assert value < TOLERANCE[name.split()[1]], name


MODELS = "lstm", "peephole_lstm", "cifg_lstm", "gru", "elman"
OPTIONS = (
    [],
    ["model.num_layers=2", "model.residual=true", "model.dropout=0.2"],
    ["model.bidirectional=true", "model.learned_state=true"],
    ["model.projection_size=3"],
    ["model.layer_norm=true", "model.zoneout=0.1"],
    ["model.weight_dropout=0.2", "model.variational_dropout=0.2"],
    ["model.backend=reference"],
)


@pytest.mark.slow
def test_every_parameter_of_every_network_has_a_gradient_in_every_step(tmp_path, monkeypatch):
    adding = ["data=adding", "data.length=6", "data.train_size=9", "data.valid_size=3", "data.batch_size=4"]
    of_series = KINDS["series"](tmp_path)
    networks = [
        *([*adding, f"model={model}", *options] for model in MODELS for options in OPTIONS),
        *([*overrides(tmp_path), "model.num_layers=2", "model.learned_state=true"] for overrides in KINDS.values()),
        [*of_series, "frontend.patch=4", "frontend.project=5", "frontend.center=last"],
        [*of_series, "frontend.channels=apart"],
    ]
    length = ["trainer.max_steps=4", "trainer.val_check_interval=3", "trainer.limit_val_batches=1"]
    jobs = [
        {
            "config": config(*network, *length, f"trainer.strategy={strategy}"),
            "folder": str(tmp_path / f"{number} {strategy}"),
        }
        for number, network in enumerate(networks)
        for strategy in ("ddp", "fsdp")
    ]
    for found, job in zip(losses_on_ranks(jobs, 2, tmp_path, monkeypatch), jobs, strict=True):
        assert len(found) >= 4, job  # one a step, and that of a validation where the task scores its loss


@pytest.fixture
def alone_in_a_process_group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone_in_a_process_group")
def test_ddp_refuses_a_parameter_without_a_gradient_in_any_step_by_its_name():
    network = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in ("frontend", "model", "head")})
    network["frontend"].requires_grad_(False)
    strategy = Copies()
    strategy.parallel_devices = [torch.device("cpu")]
    strategy.model = ddp = strategy._setup_model(nn.ModuleDict({"network": network}))
    ddp.module.forward = lambda x, use_head: network["model"](x) + (network["head"](x) if use_head else 0)
    for use_head in (True, True):
        loss = ddp(torch.ones(1, 2), use_head).sum()
        loss.backward()
        strategy.post_backward(loss)
    loss = ddp(torch.ones(1, 2), False).sum()
    loss.backward()
    with pytest.raises(TrainingError, match=r"^head\.weight got no gradient in this step, which several ranks cannot"):
        strategy.post_backward(loss)


class OfTwo(Group):
    """A group in which the other rank has told ``theirs``."""

    def __init__(self, theirs):
        super().__init__()
        self.size, self.theirs = 2, theirs

    def gather(self, value):
        return [value, {name: self.theirs.get(name, own) for name, own in value.items()}]


def test_ranks_whose_weights_differ_in_a_bit_are_refused_before_a_checkpoint_is_written():
    module = SequenceModule({}, None, 1, {})
    module.network = nn.Linear(2, 2)
    before = bits_of(module.network)
    weight = module.network.weight.data
    weight[0, 1] = torch.nextafter(weight[0, 1], torch.tensor(9.0))
    module._group = OfTwo({"the weights of step 0": before})
    with pytest.raises(TrainingError, match=r"^rank 1 .* differs from rank 0 .* in the weights of step 0: weight is "):
        module.on_save_checkpoint({})
    assert bits_of(module.network)["bias"] == before["bias"]
