"""How near a layer of seqkit, and torch's, come to the time of their matrix products alone.

    python benchmarks/limit.py [--rounds 9] [--threads 2] [--cells NAME ...] [--json FILE]

The products of a layer are the input projection of all steps, the recurrent projection step by step and, in training,
the gradients of both arguments of each. Here they are torch's matmul on tensors of the same sizes, made before. The
shapes are those of ``cells.py``. Limit, ours and theirs take turns; the figures are medians over the rounds of the
limit's time as a part of a layer's: 1.00 would be a layer that costs nothing but its products.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from cells import CPU_SHAPES, PEERS, seconds

from seqkit import registry

GATES = {"lstm": 4, "peephole_lstm": 4, "cifg_lstm": 3, "gru": 3, "elman": 1}


def products(T: int, B: int, I: int, G: int, H: int) -> Callable[[bool], float]:  # noqa: E741
    """Return the function from whether to train to the time of the products, for G gates together of H units."""
    x_NI, weight_GI, weight_GH = torch.randn(T * B, I), torch.randn(G, I), torch.randn(G, H)
    a_NG, dx_NI, h_NH = torch.empty(T * B, G), torch.empty(T * B, I), torch.randn(T * B, H)
    h_TBH, a_TBG, dh_BH = h_NH.view(T, B, H).unbind(0), a_NG.view(T, B, G).unbind(0), torch.empty(B, H)
    dweight_GI, dweight_GH = torch.empty_like(weight_GI), torch.empty_like(weight_GH)

    def run(train: bool) -> float:
        started = time.perf_counter()
        torch.mm(x_NI, weight_GI.t(), out=a_NG)
        for h_BH, a_BG in zip(h_TBH, a_TBG, strict=True):
            torch.mm(h_BH, weight_GH.t(), out=a_BG)
        if train:
            for a_BG in reversed(a_TBG):
                torch.mm(a_BG, weight_GH, out=dh_BH)
            torch.mm(a_NG, weight_GI, out=dx_NI)
            torch.mm(a_NG.t(), x_NI, out=dweight_GI)
            torch.mm(a_NG.t(), h_NH, out=dweight_GH)
        return time.perf_counter() - started

    return run


def measure(arguments: argparse.Namespace) -> list[dict]:
    """Measure every cell on every shape and print a line for each."""
    rows = []
    print(f"{'T, B, I, H':>22}  {'cell':<14} {'':<9} {'limit':>9} {'ours':>6} {'theirs':>7}")
    for T, B, I, H in CPU_SHAPES:  # noqa: E741
        for cell in arguments.cells:
            ours = registry.build("model", {"name": cell, "hidden_size": H}, I)
            theirs, limit = PEERS[cell](I, H, batch_first=True), products(T, B, I, GATES[cell] * H, H)
            x_BTI = torch.randn(B, T, I, requires_grad=True)
            for train in (False, True):
                found = []
                for number in range(arguments.rounds + 1):
                    with torch.no_grad():
                        alone = limit(train)
                    times = [seconds(model, x_BTI, train, False) for model in (ours, theirs)]
                    if number:
                        found.append((alone, *(alone / each for each in times)))
                alone, near, near_theirs = map(statistics.median, zip(*found, strict=True))
                what = "training" if train else "forward"
                row = {"shape": (T, B, I, H), "cell": cell, "what": what, "limit_ms": round(alone * 1000, 2)}
                rows.append({**row, "ours": round(near, 3), "theirs": round(near_theirs, 3)})
                sizes = ", ".join(map(str, (T, B, I, H)))
                figures = f"{alone * 1000:>6.1f} ms {near:>6.2f} {near_theirs:>7.2f}"
                print(f"{sizes:>22}  {cell:<14} {what:<9} {figures}", flush=True)
    return rows


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", nargs="+", choices=GATES, default=["lstm", "peephole_lstm", "gru"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    registry.load_built_in()
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    rows = measure(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
