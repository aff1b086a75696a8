"""What the compiled loops of a wheel cost beside those compiled for this processor.

    python benchmarks/targets.py [--rounds 15] [--threads 2] [--cells NAME ...] [--shapes N ...]

A wheel holds the loops for each level of x86-64, and a checkout compiles them with every instruction of the processor.
Each level that runs here takes turns with the native library on the layers of ``cells.py``, on one layer, in one
process; the figure is the median over the rounds of the level's time by the native one, forward and backward. Above 1
the wheel is slower. Uses the libraries of an installed wheel where there are any, else compiles them as a wheel's.
"""

import argparse
import math
import platform
import statistics
import tempfile
from pathlib import Path

import torch
from cells import CPU_SHAPES, seconds

from seqkit import registry
from seqkit.models.backends.fused import library
from seqkit.models.backends.fused.compiling import NATIVE, compile_loops, file_name


def use(target: str, folder: str) -> None:
    """Make the loops of a target the ones that run."""
    place = library.IN_THE_WHEEL / file_name(target, "float32")
    if target == NATIVE or not place.exists():
        place = Path(folder) / file_name(target, "float32")
        if not place.exists():
            compile_loops(place, target, "float32")
    library.load.cache_clear()
    library.path = lambda dtype: place


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", nargs="+", default=["peephole_lstm", "lstm", "gru"])
    parser.add_argument("--shapes", type=int, nargs="+", default=range(len(CPU_SHAPES)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    registry.load_built_in()
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, list[float]] = {level: [] for level in library.runnable_targets()}
        for T, B, I, H in (CPU_SHAPES[number] for number in arguments.shapes):  # noqa: E741
            x_BTI = torch.randn(B, T, I, requires_grad=True)
            for cell in arguments.cells:
                model = registry.build("model", {"name": cell, "hidden_size": H, "backend": "fused"}, I)
                times: dict[str, list[float]] = {target: [] for target in (NATIVE, *found)}
                for number in range(arguments.rounds + 1):
                    for target in times:
                        use(target, folder)
                        for parameter in model.parameters():
                            parameter.grad = None
                        taken = seconds(model, x_BTI, train=True, half=False)
                        if number:
                            times[target].append(taken)
                line = f"{', '.join(map(str, (T, B, I, H))):>22}  {cell:<15}"
                for level in found:
                    ratio = statistics.median(map(lambda ours, theirs: ours / theirs, times[level], times[NATIVE]))
                    found[level].append(ratio)
                    line += f"  {level} {ratio:.3f}"
                print(line, flush=True)
    for level, ratios in found.items():
        print(f"{level} by native: {math.exp(statistics.fmean(map(math.log, ratios))):.3f} on the geometric mean")


if __name__ == "__main__":
    main()
