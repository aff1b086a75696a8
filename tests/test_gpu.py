"""What only a GPU can show; each test skips where there is none."""

import json

import pytest
import torch

from seqkit import registry
from seqkit.__main__ import run

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("name", registry.names("model"))
def test_a_model_computes_the_same_on_both_devices(name):
    torch.manual_seed(0)
    model = registry.build(
        "model", {"name": name, "hidden_size": 8, "num_layers": 2, "bidirectional": True}, 5
    ).double()
    x_BTI, lengths_B = torch.randn(4, 9, 5).double(), torch.tensor([9, 1, 4, 7])
    here, state = model(x_BTI, lengths_B)
    there, moved = model.cuda()(x_BTI.cuda(), lengths_B.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-10)
    for first, second in zip(state, moved, strict=True):
        torch.testing.assert_close(second.cpu(), first, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["diagonal_lstm", "diagonal_gru"])
def test_all_steps_at_once_are_the_steps_one_by_one(name):
    found = []
    for backend in ("reference", "parallel"):
        torch.manual_seed(0)
        options = {"name": name, "hidden_size": 40, "backend": backend}
        model = registry.build("model", options, 5).double().cuda()
        x_BTI = torch.randn(3, 1000, 5).double().cuda().requires_grad_()
        y_BTH, _ = model(x_BTI)
        found.append([y_BTH, *torch.autograd.grad(y_BTH.square().sum(), [x_BTI, *model.parameters()])])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("experiment", ["python_source", "sea_temperature", "morse", "adding"])
def test_an_experiment_trains_and_evaluates_there(experiment, precision, capsys):
    few = [
        "trainer.max_steps=3",
        "trainer.val_check_interval=2",
        "trainer.limit_val_batches=1",
        f"trainer.precision={precision}",
    ]
    assert run(["train", f"experiment={experiment}", "trainer.accelerator=gpu", *few, "id=g", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["device"].startswith("cuda")
    assert run(["evaluate", f"runs/{experiment}/g", "--device", "gpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == report["test"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_ranks_on_gpus_train_as_one_process_does(strategy, capsys):
    few = [
        "experiment=adding",
        "data.train_size=100",
        "data.valid_size=20",
        "data.test_size=20",
        "data.length=20",
        "trainer.max_steps=6",
        "trainer.val_check_interval=3",
        "trainer.accelerator=gpu",
    ]
    losses = {}
    for identity, devices in (("one", "trainer.devices=1"), ("all", f"trainer={strategy}")):
        chosen = [devices] if identity == "one" else [devices, "trainer.devices=auto"]
        assert run(["train", *few, *chosen, "trainer.precision=32-true", f"id={identity}", "--json"]) == 0
        losses[identity] = json.loads(capsys.readouterr().out)["valid"]["loss"]
    assert losses["all"] == pytest.approx(losses["one"], rel=1e-4)


def test_a_killed_run_goes_on_to_the_bit_on_gpus():
    few = ["experiment=adding", "data.train_size=100", "data.length=20", "trainer=ddp", "trainer.accelerator=gpu"]
    assert run(["verify-resume", *few, "--no-report"]) == 0
