"""What training a word language model through seqkit costs over a bare PyTorch loop doing the same work.

    python benchmarks/text_lm.py [--data FILE] [--output full adaptive] [--rounds 5] [--steps 20] [--threads 2]
        [--vocabulary N] [--json FILE]

The model is the medium one of Zaremba et al. 2014 with tied vectors: two LSTM layers of 650 units, dropout 0.5,
truncated backpropagation over 35 words, batches of 20, stochastic gradient descent with the gradient clipped. seqkit
runs its whole training (Lightning, loader, callbacks); the peer is a loop of a dozen lines on ``torch.nn``. With
``adaptive`` the output is an adaptive softmax with clusters from ids 2,000 and 10,000 on, untied on both sides, since
that of ``torch.nn`` cannot be tied. They take turns; the figures are medians over the rounds of tokens per second, and
of their ratios. Peak memory (on Linux) is that of a process per side, above what it holds before it starts. Without
``--data`` the text is the source of this Python's library, cut at white space.
"""

import argparse
import json
import logging
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from overhead import seqkit_rate  # beside this script
from parallel import processor
from torch import Tensor, nn

from seqkit.hydra_cli import compose
from seqkit.network import assemble
from seqkit.registry import build
from seqkit.runs.backends import backends_of_run

WARMUP = 2  # steps before the clock starts
SIZE, STEPS, ROWS = 650, 35, 20
CUTOFFS = [2000, 10_000]
SIDES = "seqkit", "bare"
PEAK = Path("/proc/self/clear_refs")
"""Where Linux forgets the most memory that a process has held; elsewhere there is none, and memory is left out."""


def config_of(data: Path, output: str, steps: int, vocabulary: int | None) -> dict[str, Any]:
    """Return the config of seqkit's side, for ``steps`` steps."""
    head = ["head.tied=true"] if output == "full" else [f"head.cutoffs={CUTOFFS}"]
    return compose(
        [
            "data=text_files", f"data.path={data}", "data.tokenizer=word", f"data.batch_size={ROWS}",
            f"data.seq_len={STEPS}", f"data.vocab_size={vocabulary or 'null'}", "frontend=embedding",
            f"frontend.size={SIZE}", "frontend.dropout=0.5", "model=lstm", f"model.hidden_size={SIZE}",
            "model.num_layers=2", "model.dropout=0.5", "head=next_token", "head.dropout=0.5", *head, "optimizer=sgd",
            "optimizer.lr=1", "scheduler=constant", "trainer.gradient_clip_val=0.25", f"trainer.max_steps={steps}",
            "trainer.accelerator=cpu",
        ]
    )  # fmt: skip


def seqkit_tokens(config: dict[str, Any], data: Any, backends: list[dict[str, Any]]) -> float:
    """Return tokens per second of seqkit's training by the backends that were measured, as in a run."""
    return seqkit_rate(config, data, backends, WARMUP) * ROWS * STEPS


class Bare(nn.Module):
    """The same network, written down directly."""

    def __init__(self, vocabulary: int, adaptive: bool) -> None:
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(vocabulary, SIZE), nn.Dropout(0.5)
        self.lstm = nn.LSTM(SIZE, SIZE, 2, dropout=0.5, batch_first=True)
        if adaptive:
            self.output: nn.Module = nn.AdaptiveLogSoftmaxWithLoss(SIZE, vocabulary, CUTOFFS, head_bias=True)
            return
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.output = nn.Linear(SIZE, vocabulary)
        self.output.weight = self.embedding.weight

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor, state: Any) -> tuple[Tensor, Any]:
        y_BTH, state = self.lstm(self.dropout(self.embedding(tokens_BT)), state)
        y_NH, targets_N = self.dropout(y_BTH).flatten(0, 1), targets_BT.flatten()
        if isinstance(self.output, nn.Linear):
            return nn.functional.cross_entropy(self.output(y_NH), targets_N), state
        return self.output(y_NH, targets_N).loss, state


def bare_rate(config: dict[str, Any], data: Any) -> float:
    """Return tokens per second of a bare loop: gradient clipping, SGD, the state carried."""
    steps, tokens = config["trainer"]["max_steps"], data.part("train").tokens
    network = Bare(len(data.spec.inputs.vocabulary), bool(config["head"]["cutoffs"]))
    optimizer = torch.optim.SGD(network.parameters(), lr=config["optimizer"]["lr"])
    lanes = tokens[: len(tokens) // ROWS * ROWS].view(ROWS, -1)
    state = None
    for step in range(steps):
        chunk = lanes[:, step * STEPS : (step + 1) * STEPS + 1]
        loss, state = network.loss(chunk[:, :-1], chunk[:, 1:], state)
        state = tuple(part.detach() for part in state)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), config["trainer"]["gradient_clip_val"])
        optimizer.step()
        if step + 1 == WARMUP:
            started = time.perf_counter()
    return (steps - WARMUP) * ROWS * STEPS / (time.perf_counter() - started)


def peak() -> float:
    """Return the most memory that this process has held since ``forget_peak``, in MB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**10


def forget_peak() -> None:
    """Let the peak be what is held now."""
    PEAK.write_text("5")


def library_source(folder: str) -> Path:
    """Write the source of this Python's library into a file, as the text to train on."""
    place = Path(folder, "library.txt")
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    place.write_text("".join(file.read_text(encoding="utf-8", errors="replace") for file in files), encoding="utf-8")
    return place


def main() -> None:
    """Measure, print, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="text file (default: the source of this Python's library)")
    parser.add_argument("--output", nargs="+", choices=("full", "adaptive"), default=["full", "adaptive"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, help="most frequent words to keep (default: all)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.data or library_source(folder)
        if arguments.memory_of:
            print(memory(path, arguments))
            return
        found = {output: measured(path, output, arguments) for output in arguments.output}
    machine = (
        f"{processor('cpu')}, {arguments.threads} threads, torch {torch.__version__}, lightning {pl.__version__}, "
        f"Python {platform.python_version()}"
    )
    print(machine)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, **found}, indent=2) + "\n")


def measured(path: Path, output: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one kind of output, and print them."""
    config, data = set_up(path, output, arguments)
    tokens, vocabulary = len(data.part("train").tokens), len(data.spec.inputs.vocabulary)
    if tokens <= ROWS * (STEPS * config["trainer"]["max_steps"] + 1):
        raise SystemExit(f"{path}: {tokens:,} words are too few for --steps {arguments.steps}; give more text")
    backends = backends_of_run(config, data, torch.device("cpu"), 1000, None)
    sides = {"seqkit": lambda: seqkit_tokens(config, data, backends), "bare": lambda: bare_rate(config, data)}
    rounds = []
    for number in range(arguments.rounds):
        rates = {side: sides[side]() for side in (SIDES if number % 2 else SIDES[::-1])}
        rounds.append({**rates, "ratio": rates["seqkit"] / rates["bare"]})
    found: dict[str, Any] = {name: statistics.median(entry[name] for entry in rounds) for name in (*SIDES, "ratio")}
    own = [sys.executable, __file__, "--data", path, "--output", output, "--steps", "3"]
    own += ["--threads", arguments.threads, *(["--vocabulary", arguments.vocabulary] if arguments.vocabulary else [])]
    held = ""
    if PEAK.exists():
        for side in SIDES:
            command = [str(word) for word in (*own, "--memory-of", side)]
            found[f"{side} MB"] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        held = f"; peak memory {found['seqkit MB']:,.0f} and {found['bare MB']:,.0f} MB"
    print(
        f"{output}, {vocabulary:,} words: seqkit {found['seqkit']:,.0f}, bare {found['bare']:,.0f} tokens per second, "
        f"ratio {found['ratio']:.3f}{held}",
        flush=True,
    )
    return {**found, "vocabulary": vocabulary, "rounds": rounds}


def set_up(path: Path, output: str, arguments: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    """Return the config and the data of it; both sides have as many parameters."""
    config = config_of(path, output, arguments.steps + WARMUP, arguments.vocabulary)
    data = build("data", config["data"])
    data.setup()
    if output == "full":
        ours = sum(parameter.numel() for parameter in assemble(config, data.spec).parameters())
        assert ours == sum(p.numel() for p in Bare(len(data.spec.inputs.vocabulary), False).parameters())
    return config, data


def memory(path: Path, arguments: argparse.Namespace) -> float:
    """Return the peak memory of one side's training in MB, above what the process holds before."""
    config, data = set_up(path, arguments.output[0], arguments)
    forget_peak()
    before = peak()
    if arguments.memory_of == "seqkit":
        seqkit_tokens(config, data, [])
    else:
        bare_rate(config, data)
    return peak() - before


if __name__ == "__main__":
    main()
