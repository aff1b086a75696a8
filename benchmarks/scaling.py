"""What several ranks gain and cost: measured on this machine, and predicted for 8 to 64 GPUs.

    python benchmarks/scaling.py [--rounds 9] [--steps 30] [--only overhead,ranks,predicted] [--json FILE]

- overhead: DDP at world size 1 (``trainer.strategy=ddp trainer.devices=1``) against the plain loop, in one process.
- ranks: 1 rank with all cores against 2 ranks that share them, the same global batch.
- predicted: from the measured time of a step and the size of the gradients; ``predicted`` below has the assumptions.

All train through seqkit's whole training (Lightning, loader, callbacks). The sides take turns, each round one after the
other in changing order; each figure is a median over rounds. Beside the time by the clock stands the processor's time,
summed over ranks: on a busy machine the first says little.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from importlib import import_module
from pathlib import Path

import lightning.pytorch as pl
import torch

from seqkit.hydra_cli import compose
from seqkit.network import assemble
from seqkit.ranks import Group, group
from seqkit.ranks.launch import launch
from seqkit.registry import build
from seqkit.runs.folder import RunFolder
from seqkit.runs.metadata import metadata
from seqkit.training.fit import make_trainer
from seqkit.training.loader import TrainLoader
from seqkit.training.module import SequenceModule

WARMUP = 4  # steps
RANKS = (8, 16, 32, 64)
PER_NODE = 8  # GPUs
LINKS = {  # name: bytes per second of one GPU in one direction, seconds per hop
    # https://www.nvidia.com/en-us/data-center/h100/: 900 GB/s in both directions; the latencies of all but Ethernet are
    # those of NCCL's ring with protocol Simple, src/graph/tuning.cc
    "NVLink 4": (450e9, 3.4e-6),
    "InfiniBand NDR": (50e9, 14e-6),  # 400 Gbit/s, an adapter per GPU (NVIDIA Quantum-2)
    "Ethernet 100G": (12.5e9 / PER_NODE, 30e-6),  # IEEE 802.3, one adapter per node; latency assumed
    "Ethernet 10G": (1.25e9 / PER_NODE, 50e-6),
}


class Timer(pl.Callback):
    """Takes the processor's time and the clock's from the last step of the warm-up to the last of all."""

    def __init__(self) -> None:
        self.steps = 0

    def on_train_batch_end(self, *_) -> None:
        self.steps += 1
        if self.steps == WARMUP:
            self.started = time.process_time(), time.perf_counter()
        self.ended = time.process_time(), time.perf_counter()

    def per_step(self) -> tuple[float, float]:
        """Return milliseconds of the processor and of the clock per step."""
        processor, clock = (end - start for start, end in zip(self.started, self.ended, strict=True))
        return processor / (self.steps - WARMUP) * 1e3, clock / (self.steps - WARMUP) * 1e3


def train(config: dict, data, ranks: Group, threads: int) -> tuple[float, float]:
    """Train as one of ``ranks`` and return milliseconds of all their processors, and of the clock, per step."""
    module = import_module("seqkit.ranks.group")
    before, module._group = module._group, ranks
    torch.set_num_threads(threads)
    steps = config["trainer"]["max_steps"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            network = SequenceModule(config, data.spec, steps, metadata(config, data))
            run = RunFolder(Path(folder))
            run.write_config(config, data.spec)
            trainer = make_trainer(config, run, steps, interval=steps)
            timer = Timer()
            trainer.callbacks = [one for one in trainer.callbacks if type(one).__name__ != "ProgressBar"] + [timer]
            trainer.fit(network, TrainLoader(data, 1, steps, 0, False, ranks.rank, ranks.size))
        processor, clock = timer.per_step()
        return sum(ranks.gather(processor)), clock
    finally:
        module._group = before


def take_turns(rounds: int, steps: int, overrides: list[str], result: str) -> None:
    """Measure both sides of one comparison, as one of the ranks of the larger side."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    config = compose(["experiment=python_source", f"trainer.max_steps={steps + WARMUP}", *overrides])
    data = build("data", config["data"])
    data.setup()
    together, cores = group(), len(os.sched_getaffinity(0))
    sides = {"alone": Group(), "ranks": together}
    found: dict[str, list] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            together.barrier()
            if together.first or name == "ranks":
                threads = 1 if together.size == 1 else max(1, cores // sides[name].size)
                found[name].append(train(config, data, sides[name], threads))
    if together.first:
        Path(result).write_text(json.dumps(found))


def compare(size: int, rounds: int, steps: int, overrides: list[str]) -> dict[str, list]:
    """Return processor and clock time per step of each round, alone and in ``size`` ranks."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    from scaling import take_turns as part  # by a name that the ranks can import

    with tempfile.TemporaryDirectory() as folder:
        result, logs = Path(folder) / "result.json", [Path(folder) / f"rank-{rank}.log" for rank in range(size)]
        arguments = {"rounds": rounds, "steps": steps, "overrides": overrides, "result": str(result)}
        if end := launch(part, arguments, size, logs):
            sys.exit(f"rank {end.rank}: {end.text}")
        return json.loads(result.read_text())


def medians(found: dict[str, list]) -> dict[str, float]:
    """Return the medians of each side and of the ratios of the rounds, alone over ranks."""
    pairs = list(zip(found["alone"], found["ranks"], strict=True))
    per_side = {
        f"{side} {kind}": statistics.median(one[place] for one in found[side])
        for side in found
        for place, kind in enumerate(("processor", "clock"))
    }
    ratios = [statistics.median(ranks[place] / alone[place] for alone, ranks in pairs) for place in (0, 1)]
    return {**per_side, "ratio processor": ratios[0], "ratio clock": ratios[1]}


def step_seconds(hidden: int, layers: int, device: torch.device, repeats: int = 5) -> tuple[float, int]:
    """Return the seconds of a training step of a language model, B 32, T 64, and the bytes of its gradients.

    On a CPU it is one thread's own time, which others do not disturb.
    """
    model = [f"model.hidden_size={hidden}", f"model.num_layers={layers}"]
    config = compose(["experiment=python_source", "data.batch_size=32", "data.seq_len=64", *model])
    data = build("data", config["data"])
    data.setup()
    torch.manual_seed(0)
    network = assemble(config, data.spec).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    part = data.part("train")
    batch = data.collate([part[index] for index in range(32)]).to(device)
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter() if device.type == "cuda" else time.thread_time()
        outputs, lengths_B, _ = network(batch)
        total, count = network.head.loss(outputs, lengths_B, batch)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() if device.type == "cuda" else time.thread_time()) - started)
    return statistics.median(times[1:]), sum(p.numel() * p.element_size() for p in network.parameters())


def predicted(seconds: float, size: int, layers: int, ranks: int, link: str, reached: float) -> float:
    """Return the predicted share of a GPU's time that goes into its own computing, each with the same batch.

    A ring moves 2 (N - 1) / N of the gradient over each link, in 2 (N - 1) hops (Patarasu and Yuan 2009,
    doi:10.1016/j.jpdc.2008.09.002), at the speed of its slowest link: NVLink within a node of 8, the named one beyond.
    NCCL takes trees for small gradients, with fewer hops, so that beyond a node this is the cautious side.
    The gradient of a recurrent layer is there only after all its steps, so that of the lowest of L layers is never
    hidden; the others' hides behind the backward pass of the layers below, (L - 1) / L of two thirds of a step.
    The loss is summed over ranks before the backward pass, in one more ring of which only the hops count.

    Args:
        seconds: Of a step without communication.
        size: Bytes of the gradients.
        layers: L.
        ranks: N.
        link: Of ``LINKS``, between nodes.
        reached: Share of a link's bandwidth that is reached.
    """
    nodes = -(-ranks // PER_NODE)
    bandwidth, hop_between = LINKS["NVLink 4" if nodes == 1 else link]
    lap = (ranks - nodes) * LINKS["NVLink 4"][1] + nodes * hop_between
    hops = 2 * (ranks - 1) / ranks * lap
    ring = 2 * (ranks - 1) / ranks * size / (reached * bandwidth)
    hidden = (layers - 1) / layers
    exposed = hops + ring / layers + max(0.0, ring * hidden - seconds * 2 / 3 * hidden)
    return seconds / (seconds + exposed + hops)


def main() -> None:
    """Measure, predict, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", default="overhead,ranks,predicted")
    parser.add_argument("--models", default="128x1,256x2,512x3", help="hidden size x layers, of the predictions")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="of the predictions")
    parser.add_argument("--faster", type=float, default=30, help="GPU over one CPU thread, where there is no GPU")
    parser.add_argument("--reached", type=float, default=0.8, help="share of a link's bandwidth")
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    idle = "idle" if load < 0.2 * cores else f"BUSY with other work: load {load:.1f} on {cores} cores"
    machine = f"{platform.machine()}, {cores} cores, torch {torch.__version__}, lightning {pl.__version__}; {idle}"
    print(machine)
    facts: dict = {"machine": machine}
    overrides = ["trainer.accelerator=cpu", *arguments.overrides]
    for name, size in (("overhead", 1), ("ranks", 2)):
        if name not in arguments.only.split(","):
            continue
        found = compare(size, arguments.rounds, arguments.steps, overrides)
        facts[name] = {**medians(found), "rounds": found}
        what = "DDP at world size 1 by the plain loop, one thread" if size == 1 else f"2 ranks by 1, {cores} cores each"
        figures = facts[name]
        print(
            f"{what}: {figures['ratio processor']:.3f} of the processor's time per step, {figures['ratio clock']:.3f} "
            f"of the clock's ({1e3 / figures['alone clock']:.2f} and {1e3 / figures['ranks clock']:.2f} steps/s; "
            f"{figures['alone processor']:.1f} and {figures['ranks processor']:.1f} ms of the processor)"
        )
    if "predicted" in arguments.only.split(","):
        facts["predicted"] = _predictions(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def _predictions(arguments: argparse.Namespace) -> list[dict]:
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    faster = 1.0 if device.type == "cuda" else arguments.faster
    print(f"predicted efficiency of N GPUs with 32 x 64 characters each, {PER_NODE} to a node. Assumed:")
    print(
        f"  a ring over all GPUs, {arguments.reached:.0%} of each link's bandwidth; within a node NVLink 4; gradients"
    )
    print("  float32; all but the lowest layer's hide behind the backward pass of the layers below")
    if device.type != "cuda":
        print(f"  no GPU here: a GPU is taken to be {faster:g} times as fast as one thread of this CPU, a guess; the")
        print("  last column says at which step time half of 64 GPUs' time is communication, whatever computes it")
    rows = []
    for model in arguments.models.split(","):
        hidden, layers = map(int, model.split("x"))
        seconds, size = step_seconds(hidden, layers, device)
        print(f"{layers} x {hidden}: {size / 4e6:.2f} million parameters, {seconds * 1e3:.1f} ms measured on {device}")
        for link in list(LINKS)[1:]:
            own = seconds / faster
            shares = {n: predicted(own, size, layers, n, link, arguments.reached) for n in RANKS}
            half = _half_time(size, layers, link, arguments.reached)
            rows.append({"model": model, "link": link, "seconds": own, "bytes": size, "shares": shares, "half": half})
            words = "  ".join(f"{n}: {share:.0%}" for n, share in shares.items())
            print(f"  {link:15} {words}  half at {half * 1e3:.2f} ms")
    return rows


def _half_time(size: int, layers: int, link: str, reached: float) -> float:
    """Return the seconds of a step at which 64 GPUs compute half of their time, by bisection."""
    low, high = 1e-7, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if predicted(middle, size, layers, 64, link, reached) < 0.5 else (low, middle)
    return high


if __name__ == "__main__":
    main()
