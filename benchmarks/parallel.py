"""The time of a training step of one layer with model.backend=parallel beside its plain loop, model.backend=reference.

    python benchmarks/parallel.py [--rounds 9] [--threads 2] [--device cpu] [--cells NAME ...] [--shapes T,B,I,H ...]

Both take turns in one process after a warm-up; the figure is the median over the rounds of the loop's time by that of
the parallel backend, forward with backward. Above 1 the parallel one is faster.
"""

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from seqkit import registry

SHAPES = "1024,1,64,256", "4096,1,64,256", "16384,1,64,256", "1024,16,64,256", "64,32,128,256"  # T steps, B batch, I, H
CPUINFO = Path("/proc/cpuinfo")


def seconds(model: nn.Module, x_BTI: Tensor) -> float:
    """Return the time of a forward and a backward pass."""
    if x_BTI.is_cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    model(x_BTI)[0].sin().sum().backward()
    if x_BTI.is_cuda:
        torch.cuda.synchronize()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - started


def processor(device: str) -> str:
    """Return the name of the processor, or of the GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    """Print a line per cell and shape."""
    registry.load_built_in()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--cells", nargs="+", default=["diagonal_lstm", "diagonal_gru"])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="T,B,I,H")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    where = f"{processor(arguments.device)}, {torch.backends.cpu.get_cpu_capability()}"
    print(f"{where}, {arguments.threads} threads, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{'cell':14} {'T,B,I,H':16} {'loop s':>8} {'parallel s':>10} {'ratio':>6}")
    for name in arguments.cells:
        for shape in arguments.shapes:
            steps, batch, features, size = map(int, shape.split(","))
            models = []
            for backend in ("reference", "parallel"):
                torch.manual_seed(0)
                config = {"name": name, "hidden_size": size, "backend": backend}
                models.append(registry.build("model", config, features).to(arguments.device))
            x_BTI = torch.randn(batch, steps, features, device=arguments.device)
            times = [[seconds(model, x_BTI) for model in models] for _ in range(1 + arguments.rounds)][1:]
            loop, parallel = (statistics.median(own) for own in zip(*times, strict=True))
            ratio = statistics.median(one / other for one, other in times)
            print(f"{name:14} {shape:16} {loop:8.3f} {parallel:10.3f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
