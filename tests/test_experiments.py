"""Every experiment runs end to end through the command line, on tiny data, and what it leaves can be used."""

import csv
import json
import math
import wave
from array import array
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.commands.list import inventory
from seqkit.data.sea_temperature import SAMPLE
from tests.bad_files import many

FEW = ["trainer.max_steps=3", "trainer.val_check_interval=2", "trainer.accelerator=cpu", "id=x"]


def text_file() -> Path:
    path = Path("book.txt")
    path.write_text("".join(f"chapter {i} says that {i} times {i} is {i * i}\n" for i in range(150)))
    return path


def table() -> Path:
    path = Path("table.csv")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["date", "load", "heat"])
        for hour in range(400):
            day, rest = divmod(hour, 24)
            rows.writerow([f"2024-01-{day + 1:02d} {rest:02d}:00", round(math.sin(hour / 3.8), 4), hour % 7])
    return path


def shops() -> Path:
    path = Path("shops.csv")
    path.write_text(many(rows=120))
    return path


def sounds(count: int = 6) -> Path:
    for label, pitch in (("low", 300), ("high", 900)):
        folder = Path("sounds", label)
        folder.mkdir(parents=True)
        for number in range(count):
            samples = [int(9000 * math.sin(i * pitch / 8000 * 6.3)) for i in range(1600 + 200 * number)]
            with wave.open(str(folder / f"{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(array("h", samples).tobytes())
    return Path("sounds")


# what makes an experiment tiny, and what to predict from afterwards
TINY = {
    "python_source": (lambda: ["data.batch_size=4", "data.eval_streams=512", "model.hidden_size=8",
                               "trainer.limit_val_batches=1"], lambda: "import os"),
    "sea_temperature": (lambda: ["data.lookback=48", "data.horizon=4", "data.split=[300,60,60]", "model.hidden_size=8"],
                        None),
    "morse": (lambda: ["data.train_size=8", "data.valid_size=4", "data.test_size=4", "data.words=[1,1]",
                       "model.hidden_size=8"], lambda: "sounds/low/0.wav"),
    "adding": (lambda: ["data.length=8", "data.train_size=32", "data.valid_size=8", "data.test_size=8",
                        "model.hidden_size=8"], None),
    "timing": (lambda: ["data.distance=4", "data.offset=3", "data.train_size=32", "data.valid_size=8",
                        "data.test_size=8", "model.hidden_size=8"], None),
    "text": (lambda: [f"data.path={text_file()}", "data.split=[0.8,0.1,0.1]", "data.batch_size=4", "data.seq_len=16",
                      "data.eval_streams=4", "model.hidden_size=8"], lambda: "book.txt"),
    "awd_lstm": (lambda: [f"data.path={text_file()}", "data.split=[0.8,0.1,0.1]", "data.batch_size=4", "data.seq_len=16",
                          "data.eval_streams=4", "frontend.size=8", "model.hidden_size=8", "head.cutoffs=[3,5]"],
                 lambda: "book.txt"),
    "forecast": (lambda: [f"data.path={table()}", "data.time_column=date", "data.lookback=48", "data.horizon=4",
                          "model.hidden_size=8"], lambda: "table.csv"),
    "series_table": (lambda: [f"data.path={shops()}", "data.series=shop", "data.time_column=date", "data.targets=[sales]",
                              "data.known=[promo]", "data.static=[size]", "data.categories=[region]",
                              "data.calendar=[hour]", "data.lookback=24", "data.horizon=4", "frontend.patch=8",
                              "model.hidden_size=8"], None),
    "audio_classify": (lambda: [f"data.path={sounds()}", "data.batch_size=4", "model.hidden_size=8"],
                       lambda: "sounds/high/1.wav"),
}  # fmt: skip


def labelled() -> Path:
    path = Path("reviews.csv")
    rows = [f"a {'good' if n % 2 else 'bad'} film with {n} songs,{'pos' if n % 2 else 'neg'}" for n in range(40)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def manifest() -> Path:
    folder = sounds()
    rows = [f"{label}/{n}.wav,{label}" for label in ("low", "high") for n in range(6)]
    path = folder / "files.csv"
    path.write_text("\n".join(["path,transcript", *rows]) + "\n")
    return path


TINY["audio_transcribe"] = (
    lambda: [f"data.manifest={manifest()}", "data.batch_size=4", "model.hidden_size=8"],
    lambda: "sounds/high/1.wav",
)


WALKS = ["data.sequence=walk", "data.inputs=[x,y]", "data.valid_fraction=0.2", "model.hidden_size=8"]


def walks() -> str:
    Path("walks.csv").write_bytes(SAMPLE.with_name("walks.csv").read_bytes())
    return "walks.csv"


TINY["sequence_classify"] = (lambda: [*WALKS, "data.label=pace", f"data.path={walks()}"], None)
TINY["sequence_regress"] = (lambda: [*WALKS, "data.targets=[speed]", f"data.path={walks()}"], None)
TINY["text_classify"] = (
    lambda: [f"data.path={labelled()}", "data.batch_size=4", "model.hidden_size=8"],
    lambda: "a good film",
)
TINY["tag"] = (
    lambda: [f"data.path={SAMPLE.with_name('tagged.conll')}", "data.batch_size=4", "model.hidden_size=8"],
    lambda: "Ada went to Paris",
)


def test_every_experiment_is_here():
    assert set(inventory()["experiment"]) == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_experiment(name, capsys):
    make_overrides, make_input = TINY[name]
    assert run(["train", f"experiment={name}", *make_overrides(), *FEW]) == 0
    out = capsys.readouterr().out
    place = Path("runs", name, "x")
    report = json.loads((place / "report.json").read_text())
    monitor = report["monitor"][0]
    assert math.isfinite(report["test"][monitor])
    assert report["baselines"]
    assert all(monitor in scores for scores in report["baselines"].values())
    assert str(place) in out
    for figure in report["figures"]:
        assert (place / figure).read_bytes().startswith(b"\x89PNG")
    assert run(["evaluate", str(place), "--batch-size", "3", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == {"model": report["test"], **report["baselines"]}
    if make_input is not None:
        if not Path("sounds").exists():
            sounds(1) if "wav" in make_input() else None
        assert run(["predict", str(place), make_input(), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1
        assert run(["predict", str(place), make_input()]) == 0
        assert make_input() in capsys.readouterr().out
