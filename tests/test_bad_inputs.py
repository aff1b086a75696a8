"""Bad data, configurations and command lines: each is one line, exit 1 (2 for wrong usage), no traceback."""

import contextlib
import io
import math
import os
import shlex
import signal
import wave
from array import array
from pathlib import Path

import pytest
import torch

from seqkit.__main__ import run


def hourly(changes: dict[int, str] | None = None, rows: int = 60, header: str = "date,load,heat") -> str:
    """Return a CSV text of hourly rows, some of its lines (from 1) put otherwise."""
    lines = [header]
    for hour in range(rows):
        lines.append(f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00,{math.sin(hour / 3.8):.4f},{hour % 7}")
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def stacked() -> str:
    rows = hourly().splitlines()
    return "\n".join([*rows, *rows[1:]]) + "\n"


def wav(pitch: float = 300, samples: int = 1600, rate: int = 8000, level: int = 9000) -> bytes:
    sound = array("h", [int(level * math.sin(i * pitch / 8000 * 6.3)) for i in range(samples)])
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())
    return buffer.getvalue()


def no_rate(data: bytes) -> bytes:
    return data[:24] + bytes(4) + data[28:]


def sounds(level: int = 9000) -> dict:
    """Return the files of a folder with two classes of four recordings."""
    return {
        f"sounds/{label}/{number}.wav": wav(pitch + number, level=level)
        for label, pitch in (("low", 300), ("high", 900))
        for number in range(4)
    }


def manifest(*rows: str, header: str = "path,label") -> dict:
    """Return the same files with a manifest, whose first rows are those given."""
    rest = [f"{label}/{number}.wav,{label}" for label in ("low", "high") for number in range(1, 4)]
    return {**sounds(), "sounds/files.csv": "\n".join([header, *(rows or rest)]) + "\n"}


def folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)


def make(files: dict) -> None:
    """Make files in the current folder: of text, of bytes, or by a function of the path."""
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


TEXT = "".join(f"chapter {i} says that {i} times {i} is {i * i}\n" for i in range(60))

SMALL = ["model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=x"]

PREFIX = {
    "series": "train data=series_csv data.path=t.csv data.time_column=date data.lookback=8 data.horizon=2",
    "texts": "train data=text_files data.seq_len=8",
    "sounds": "train data=audio_folder frontend=logmel",
    "configs": "train data=adding trainer.accelerator=cpu",
    "late": "train trainer.accelerator=cpu",
    "commands": "",
}

# name: files, words after the prefix, what the line says
SERIES = {
    "empty": ({"t.csv": ""}, "", "t.csv: is empty. Expected a header line"),
    "header only": ({"t.csv": "date,load\n"}, "", "t.csv: has no rows below its header"),
    "missing": ({"tt.csv": hourly()}, "", "t.csv: no such file. Did you mean 'tt.csv'?"),
    "a folder": ({"t.csv": folder}, "", "t.csv: is a folder. Expected a CSV or Parquet file"),
    "a pipe": ({"t.csv": os.mkfifo}, "", "t.csv: is not a regular file"),
    "Excel": ({"t.csv": b"PK\x03\x04aaaa"}, "", "t.csv: is an Excel workbook or another zip archive; save its sheet as CSV"),
    "old Excel": ({"t.csv": b"\xd0\xcf\x11\xe0aaaa"}, "", "is an old Excel workbook"),
    "Parquet named CSV": ({"t.csv": b"PAR1aaaa"}, "", "is a Parquet file; name it with the ending .parquet"),
    "garbage named Parquet": ({"t.parquet": b"garbage"}, "data.path=t.parquet", "t.parquet: cannot be read as Parquet"),
    "garbage named gz": ({"t.csv.gz": b"\x1f\x8bgarbage"}, "data.path=t.csv.gz", "t.csv.gz: cannot be read as CSV"),
    "UTF-16": ({"t.csv": hourly().encode("utf-16")}, "", "is UTF-16 text; save it as UTF-8"),
    "Latin-1 header": ({"t.csv": hourly(header="date,löad,heat").encode("latin-1")}, "", "line 1"),
    "Latin-1 cell": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1,é"}).encode("latin-1")}, "", "line 5"),
    "NUL bytes": ({"t.csv": b"date,lo\0ad\n1,2\n"}, "", "line 1: holds NUL bytes"),
    "semicolons": ({"t.csv": hourly().replace(",", ";")}, "", "line 1: columns are separated by semicolons"),
    "tabs": ({"t.csv": hourly().replace(",", "\t")}, "", "line 1: columns are separated by tabs"),
    "bars": ({"t.csv": hourly().replace(",", "|")}, "", "line 1: columns are separated by bars"),
    "semicolons and decimal commas": ({"t.csv": hourly().replace(",", ";").replace(".", ",")}, "", "separated by semicolons. Expected commas, and points"),
    "ragged, longer": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1,3,4"})}, "", "line 5: 4 cells, the header has 3"),
    "ragged, shorter": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1"})}, "", "line 5, column 'heat': no value"),
    "no header": ({"t.csv": "\n".join(hourly().splitlines()[1:])}, "", "no header line: line 1 holds '2024-01-01 00:00'"),
    "no such column": ({"t.csv": hourly()}, "data.targets=[laod]", "no column 'laod'. Did you mean 'load'?"),
    "no such time column": ({"t.csv": hourly(header="day,load,heat")}, "", "no column 'date'"),
    "two columns of a name": ({"t.csv": hourly(header="date,load,load")}, "", "two columns are named 'load'"),
    "a column without a name": ({"t.csv": hourly(header="date,load,")}, "", "column 3 has no name in the header"),
    "no column of numbers": ({"t.csv": "date,load\n2024-01-01,a\n2024-01-02,b\n"}, "", "no column of numbers"),
    "an empty column": ({"t.csv": hourly({n: f"2024-01-{1 + (n - 2) // 24:02d} {(n - 2) % 24:02d}:00,0.{n}," for n in range(2, 62)})}, "data.missing=interpolate", "column 'heat': no value in any row"),
    "a text cell": ({"t.csv": hourly({9: "2024-01-01 07:00,abc,1"})}, "", "line 9, column 'load': 'abc' is not a number"),
    "a cell of 5 MB": ({"t.csv": hourly({9: f"2024-01-01 07:00,{'x' * 5_000_000},1"})}, "", "... (5,000,000 characters)' is not a number"),
    "thousands": ({"t.csv": hourly({9: '2024-01-01 07:00,"5,123,456",1'})}, "", "'5,123,456' is not a number. Write it as 5123456"),
    "decimal comma": ({"t.csv": hourly({9: '2024-01-01 07:00,"5,3",1'})}, "", "'5,3' is not a number. Write it as 5.3"),
    "percent": ({"t.csv": hourly({9: "2024-01-01 07:00,12 %,1"})}, "", "'12 %' is not a number. Write it as 12"),
    "infinity": ({"t.csv": hourly({9: "2024-01-01 07:00,inf,1"})}, "", "line 9, column 'load': inf is not a finite number"),
    "1e300": ({"t.csv": hourly({9: "2024-01-01 07:00,1e300,1"})}, "", "line 9, column 'load': 1e+300 does not fit single precision"),
    "varies too little": ({"t.csv": "load\n" + "".join(f"{1e9 + i % 3}\n" for i in range(60))}, "data.time_column=null", "too little for single precision"),
    "never changes": ({"t.csv": "load\n" + "3\n" * 60}, "data.time_column=null", "column 'load': never changes"),
    "a gap": ({"t.csv": hourly({9: "2024-01-01 07:00,,1"})}, "", "line 9, column 'load': no value (the only one)"),
    "a gap at the start": ({"t.csv": hourly({2: "2024-01-01 00:00,,1"})}, "data.missing=forward", "line 2, column 'load': no value, and none before it"),
    "not a time": ({"t.csv": hourly({9: "noon,0.1,1"})}, "", "line 9, column 'date': 'noon' is not a time"),
    "no time": ({"t.csv": hourly({9: ",0.1,1"})}, "", "line 9, column 'date': no time"),
    "falling times": ({"t.csv": "\n".join([hourly().splitlines()[0], *reversed(hourly().splitlines()[1:])])}, "", "turn the file upside down"),
    "one falling time": ({"t.csv": hourly({9: "2024-01-01 01:30,0.1,1"})}, "", "line 9, column 'date': an earlier time than the row before"),
    "a time twice": ({"t.csv": hourly({9: "2024-01-01 06:00,0.1,1"})}, "", "data.repeats=first keeps the first"),
    "several series": ({"t.csv": stacked()}, "", "as of several series in one table. Expected one series per file"),
    "mixed time zones": ({"t.csv": hourly({9: "2024-01-01 07:00+03:00,0.1,1", **{n: f"2024-01-01 {n - 2:02d}:00+01:00,0.{n},1" for n in (2, 3, 4, 5, 6, 7, 8)}}, rows=8)}, "", "time zones are mixed (+01:00, +03:00)"),
    "some with a time zone": ({"t.csv": hourly({9: "2024-01-01 07:00Z,0.1,1"})}, "", "line 9, column 'date': time zone +00:00, the first row has none"),
    "uneven steps": ({"t.csv": hourly({9: "2024-01-01 07:20,0.1,1"})}, "", "line 9, column 'date': 1:20:00 after the row before"),
    "a far time": ({"t.csv": hourly({61: "2034-01-01 00:00,0.1,1"})}, "data.missing=forward", "Is the time right?"),
    "too few rows": ({"t.csv": hourly(rows=12)}, "", "the train part has 8 rows. data.lookback=8 and data.horizon=2 need at least 10"),
    "split takes more rows": ({"t.csv": hourly()}, "data.split=[40,20,20]", "has 60 rows. data.split takes 80"),
    "split over 1": ({"t.csv": hourly()}, "data.split=[0.7,0.3,0.3]", "the fractions sum to 1.3"),
    "split of two numbers": ({"t.csv": hourly()}, "data.split=[0.7,0.3]", "data.split=[0.7,0.3]: expected three fractions"),
    "split turned round": ({"t.csv": hourly()}, "data.split=[2024-01-03,2024-01-02]", "the test part must start after the validation part"),
    "split by no dates": ({"t.csv": hourly()}, "data.split=[monday,tuesday]", "not ISO 8601 dates"),
    "split by dates, of numbers": ({"t.csv": "date,load\n" + "".join(f"{i},{i % 5}\n" for i in range(60))}, "data.split=[2024-01-02,2024-01-03]", "column 'date' holds numbers. data.split by dates needs dates"),
    "time column a target": ({"t.csv": hourly()}, "data.targets=[date]", "it cannot be both"),
    "a target twice": ({"t.csv": hourly()}, "data.targets=[load,load]", "column 'load' is named twice"),
    "no targets": ({"t.csv": hourly()}, "data.targets=[]", "name at least one column"),
    "targets no list": ({"t.csv": hourly()}, "data.targets=load", "not a list; write 'data.targets=[load]'"),
    "horizon 0": ({"t.csv": hourly()}, "data.horizon=0", "data.horizon=0: input should be greater than 0"),
    "missing=guess": ({"t.csv": hourly()}, "data.missing=guess", "data.missing=guess: choose one of 'refuse', 'forward', 'interpolate'"),
    "one column without a header": ({"t.csv": "".join(f"{i % 7}.5\n" for i in range(60))}, "data.time_column=null", "no header line: line 1 holds '0.5'"),
    "no header, dates unnamed": ({"t.csv": "\n".join(hourly().splitlines()[1:])}, "data.time_column=null", "no header line"),
    "a column of thousands": ({"t.csv": "a,b\n" + "".join(f'"5,123,{100 + i}",{i % 5}\n' for i in range(60))}, "data.time_column=null", "line 2, column 'a': '5,123,100' is not a number. Write it as 5123100, or list the columns to read"),
    "split by dates without times": ({"t.csv": hourly()}, "data.split=[2024-01-02,2024-01-03] data.time_column=null", "a split by dates needs data.time_column"),
    "path a URL": ({}, "data.path=https://example.com/t.csv", "is a URL, and seqkit reads files on this machine only"),
    "path empty": ({}, "data.path=", "a path cannot be empty; is the variable set?"),
    "path of no user": ({}, "\"data.path='~nobody_here/t.csv'\"", "there is no such home folder"),
    "path a dead link": ({"t.csv": lambda path: path.symlink_to("gone.csv")}, "", "t.csv: is a link to nothing"),
}  # fmt: skip

TEXTS = {
    "no place": ({}, "", "data=text_files needs data.path=FILE.txt, or data.train, data.valid and data.test"),
    "both places": ({"a.txt": TEXT}, "data.path=a.txt data.train=a.txt", "takes data.path or data.train, data.valid and data.test, not both"),
    "only train": ({"a.txt": TEXT}, "data.train=a.txt", "data=text_files lacks data.valid and data.test"),
    "missing": ({"book.txt": TEXT}, "data.path=bok.txt", "bok.txt: no such file or folder. Did you mean 'book.txt'?"),
    "folder missing": ({}, "data.path=shelf/book.txt", "(there is no 'shelf' in .)"),
    "empty": ({"a.txt": ""}, "data.path=a.txt", "a.txt: is empty. Expected UTF-8 text"),
    "folder without txt": ({"shelf/a.md": TEXT}, "data.path=shelf", "shelf: no *.txt file in this folder"),
    "a pipe": ({"a.txt": os.mkfifo}, "data.path=a.txt", "a.txt: is not a regular file"),
    "Latin-1": ({"a.txt": b"abc\nd\xe9f\n" * 99}, "data.path=a.txt", "a.txt: not UTF-8 at byte 5 (line 2)"),
    "NUL bytes": ({"a.txt": bytes(20_000)}, "data.path=a.txt", "a.txt: a NUL at byte 0 (line 1)"),
    "one character": ({"a.txt": "a" * 900}, "data.path=a.txt", "one token again and again"),
    "too short": ({"a.txt": "hello\n"}, "data.path=a.txt", "one chunk of data.seq_len=8 needs 9"),
    "the same file": ({"a.txt": TEXT}, "data.train=a.txt data.valid=a.txt data.test=a.txt", "a.txt: stands in a.txt, which is trained on"),
    "a file of the folder": ({"shelf/a.txt": TEXT, "b.txt": TEXT}, "data.train=shelf data.valid=shelf/a.txt data.test=b.txt", "stands in shelf, which is trained on"),
    "the same text": ({"a.txt": TEXT, "b.txt": TEXT, "c.txt": TEXT + "x"}, "data.train=a.txt data.valid=b.txt data.test=c.txt", "b.txt: the same text as a.txt"),
    "split of three files": ({"a.txt": TEXT}, "data.train=a.txt data.valid=a.txt data.test=a.txt data.split=[0.5,0.25,0.25]", "data.split is for data.path"),
    "split not 1": ({"a.txt": TEXT}, "data.path=a.txt data.split=[0.5,0.1,0.1]", "give three fractions above 0 that add up to 1"),
    "unit syllable": ({"a.txt": TEXT}, "data.path=a.txt data.unit=syllable", "syllable"),
    "vocabulary of 1": ({"a.txt": TEXT}, "data.path=a.txt data.vocab_size=1", "data.vocab_size=1: input should be greater than or equal to 2"),
    "seq_len 0": ({"a.txt": TEXT}, "data.path=a.txt data.seq_len=0", "data.seq_len=0: input should be greater than 0"),
}  # fmt: skip

SOUNDS = {
    "no place": ({}, "", "data=audio_folder needs data.path=FOLDER"),
    "both places": (manifest(), "data.path=sounds data.manifest=sounds/files.csv", "not both"),
    "missing": (sounds(), "data.path=sound", "sound: no such folder. Did you mean 'sounds'?"),
    "a file": (sounds(), "data.path=sounds/low/0.wav", "sounds/low/0.wav: is not a folder"),
    "no files": ({"sounds": folder}, "data.path=sounds", "sounds: no WAV or FLAC files"),
    "mp3": ({"sounds/a/x.mp3": b"ID3", "sounds/b/y.mp3": b"ID3"}, "data.path=sounds", "sounds/a: no WAV or FLAC file in it"),
    "an empty class": ({**sounds(), "sounds/none": folder}, "data.path=sounds", "sounds/none: no WAV or FLAC file in it"),
    "one class": ({f"sounds/a/{n}.wav": wav(300 + n) for n in range(6)}, "data.path=sounds", "all files are of one class, 'a'"),
    "one file a class": ({"sounds/a/x.wav": wav(300), "sounds/b/x.wav": wav(900)}, "data.path=sounds", "sounds: 2 files are too few to draw a valid part"),
    "folders of splits": ({"sounds/train/x.wav": wav(300), "sounds/test/x.wav": wav(900)}, "data.path=sounds", "has folders test, train; sub-folders are classes"),
    "a pipe": ({**sounds(), "sounds/low/9.wav": os.mkfifo}, "data.path=sounds", "sounds/low/9.wav: is not a regular file"),
    "an empty file": ({**sounds(), "sounds/low/9.wav": b""}, "data.path=sounds", "sounds/low/9.wav: is empty; expected a WAV or FLAC file"),
    "garbage": ({**sounds(), "sounds/low/9.wav": b"garbage" * 99}, "data.path=sounds", "sounds/low/9.wav: cannot be read as WAV or FLAC"),
    "garbage named FLAC": ({**sounds(), "sounds/low/9.flac": b"fLaC" * 99}, "data.path=sounds", "sounds/low/9.flac: cannot be read as WAV or FLAC"),
    "cut off": ({**sounds(), "sounds/low/9.wav": wav()[:1000]}, "data.path=sounds", "sounds/low/9.wav: cut off: its header promises 1,600 samples, the file holds 478"),
    "rate 0": ({**sounds(), "sounds/low/9.wav": no_rate(wav())}, "data.path=sounds", "sounds/low/9.wav: its header says 0 samples per second"),
    "no samples": ({**sounds(), "sounds/low/9.wav": wav(samples=0)}, "data.path=sounds", "sounds/low/9.wav: holds no sound"),
    "too short": ({**sounds(), "sounds/low/9.wav": wav(samples=20)}, "data.path=sounds", "sounds/low/9.wav: too short, 20 samples at 8000 Hz"),
    "all silent": (sounds(level=0), "data.path=sounds", "sounds: every file is silent"),
    "fractions of all": (sounds(), "data.path=sounds data.valid_fraction=0.5 data.test_fraction=0.5", "leave nothing to train on"),
    "fraction 2": (sounds(), "data.path=sounds data.valid_fraction=2", "data.valid_fraction=2.0: input should be less than 1"),
    "manifest missing": (sounds(), "data.manifest=sounds/files.csv", "sounds/files.csv: no such file"),
    "manifest a folder": (sounds(), "data.manifest=sounds", "sounds: is a folder. Expected a CSV file"),
    "manifest empty": ({"files.csv": ""}, "data.manifest=files.csv", "files.csv: has no rows"),
    "manifest header only": ({"files.csv": "path,label\n"}, "data.manifest=files.csv", "files.csv: has no rows"),
    "manifest without header": ({**sounds(), "sounds/files.csv": "low/0.wav,low\nhigh/0.wav,high\n"}, "data.manifest=sounds/files.csv", "no header line. Expected path and label or transcript in line 1"),
    "manifest with semicolons": ({"files.csv": "path;label\na.wav;a\n"}, "data.manifest=files.csv", "columns are separated by semicolons"),
    "manifest an Excel file": ({"files.csv": b"PK\x03\x04aaaa"}, "data.manifest=files.csv", "is an Excel workbook"),
    "manifest in Latin-1": ({"files.csv": b"path,label\na.wav,\xe9\n"}, "data.manifest=files.csv", "files.csv: is not UTF-8 text"),
    "manifest without path": (manifest(header="file,label"), "data.manifest=sounds/files.csv", "no column 'path'. Columns: file, label"),
    "manifest without target": (manifest(header="path,lable"), "data.manifest=sounds/files.csv", "no column 'label' or 'transcript'"),
    "manifest with both targets": (manifest("low/0.wav,low,low", header="path,label,transcript"), "data.manifest=sounds/files.csv", "has both 'label' and 'transcript'"),
    "manifest with a column twice": (manifest("low/0.wav,low,low", header="path,label,label"), "data.manifest=sounds/files.csv", "column 'label' is there twice"),
    "manifest row too long": (manifest("low/0.wav,low,x"), "data.manifest=sounds/files.csv", "line 2: 3 values, expected 2"),
    "manifest row too short": (manifest("low/0.wav"), "data.manifest=sounds/files.csv", "line 2: 1 values, expected 2"),
    "manifest without a label": (manifest("low/0.wav,"), "data.manifest=sounds/files.csv", "line 2: no value for 'label'"),
    "manifest with another split": (manifest("low/0.wav,low,tset", header="path,label,split"), "data.manifest=sounds/files.csv", "line 2: split 'tset' is not known. Did you mean 'test'?"),
    "manifest without train": (manifest("low/0.wav,low,test", header="path,label,split"), "data.manifest=sounds/files.csv", "column 'split' has no row with 'train'"),
    "manifest with a file that is not there": (manifest("low/7.wav,low"), "data.manifest=sounds/files.csv", "line 2: no file sounds/low/7.wav; paths are relative to the manifest"),
    "manifest with a file twice": (manifest("low/0.wav,low", "high/../low/0.wav,high"), "data.manifest=sounds/files.csv", "line 3: high/../low/0.wav was already named in line 2"),
    "manifest with a label in test only": (manifest("low/0.wav,low,train", "low/1.wav,low,train", "high/0.wav,high,test", header="path,label,split"), "data.manifest=sounds/files.csv", "line 4: label 'high' of a test file is on no training file"),
    "manifest with a symbol in test only": (manifest("low/0.wav,low,train", "low/1.wav,low,train", "high/0.wav,high,test", header="path,transcript,split"), "data.manifest=sounds/files.csv", "symbol 'h' of a test file is in no training transcript"),
}  # fmt: skip

CONFIGS = {
    "unknown model": ({}, "model=lsmt", "no model 'lsmt'. Did you mean 'lstm'?"),
    "unknown experiment": ({}, "experiment=mors", "no experiment 'mors'. Did you mean 'morse'?"),
    "unknown data": ({}, "data=addign", "no data 'addign'. Did you mean 'adding'?"),
    "unknown optimizer": ({}, "optimizer=adam", "no optimizer 'adam'. Did you mean 'adamw'?"),
    "unknown scheduler": ({}, "scheduler=cosin", "no scheduler 'cosin'. Did you mean 'cosine'?"),
    "unknown head": ({}, "head=classifi", "no head 'classifi'. Did you mean 'classify'?"),
    "unknown frontend": ({}, "frontend=frame", "no frontend 'frame'. Did you mean 'frames'?"),
    "unknown logger": ({}, "logger=wandbb", "no logger 'wandbb'. Did you mean 'wandb'?"),
    "unknown trainer": ({}, "trainer=tpu", "no trainer 'tpu'"),
    "unknown group": ({}, "modle=lstm", "no setting 'modle'. Did you mean 'model'?"),
    "unknown setting": ({}, "sede=3", "no setting 'sede'. Did you mean 'seed'?"),
    "unknown option of the model": ({}, "model.hiden_size=5", "no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'?"),
    "unknown option of the data": ({}, "data.lenght=5", "no option 'lenght' in data=adding. Did you mean 'length'?"),
    "unknown option of the optimizer": ({}, "optimizer.rate=5", "no option 'rate' in optimizer=adamw"),
    "unknown option of the trainer": ({}, "trainer.steps=5", "no option 'steps' in trainer="),
    "unknown option, added": ({}, "+model.foo=1", "no option 'foo' in model=lstm"),
    "unknown option, forced": ({}, "++model.foo=1", "no option 'foo' in model=lstm"),
    "option taken away": ({}, "~model.hidden_size", "model.hidden_size"),
    "option of no logger": ({}, "logger.mode=offline", "logger.mode: no logger is chosen yet; name it too"),
    "a word for a number": ({}, "model.hidden_size=abc", "model.hidden_size=abc: not an integer"),
    "a fraction for a whole number": ({}, "model.hidden_size=2.5", "model.hidden_size=2.5: not an integer"),
    "a list for a number": ({}, "model.hidden_size=[1,2]", "model.hidden_size"),
    "a word for a fraction": ({}, "model.dropout=x", "model.dropout=x: not a number"),
    "a word for a switch": ({}, "model.bidirectional=maybe", "model.bidirectional"),
    "size 0": ({}, "model.hidden_size=0", "model.hidden_size=0: input should be greater than 0"),
    "layers below 0": ({}, "model.num_layers=-1", "model.num_layers=-1: input should be greater than 0"),
    "dropout 1": ({}, "model.dropout=1.0", "model.dropout=1.0: input should be less than 1"),
    "dropout below 0": ({}, "model.dropout=-0.1", "model.dropout=-0.1: input should be greater than or equal to 0"),
    "unknown backend": ({}, "model.backend=fast", "model.backend=fast: choose one of 'auto', 'native', 'fused', 'reference'"),
    "renamed option": ({}, "model.loop=fused", "no option 'loop' in model=lstm: it is model.backend now"),
    "null": ({}, "model.hidden_size=null", "model.hidden_size cannot be null"),
    "group null": ({}, "model=null", "this group takes a name, not null"),
    "group taken away": ({}, "~model", "model is not chosen; say model=NAME"),
    "length 1": ({}, "data.length=1", "data.length=1: input should be greater than or equal to 2"),
    "batch of 0": ({}, "data.batch_size=0", "data.batch_size=0: input should be greater than 0"),
    "lr infinite": ({}, "optimizer.lr=inf", "optimizer.lr=inf: input should be a finite number"),
    "lr no number": ({}, "optimizer.lr=nan", "optimizer.lr=nan: input should be"),
    "lr below 0": ({}, "optimizer.lr=-1", "optimizer.lr=-1.0: input should be greater than 0"),
    "seed below 0": ({}, "seed=-1", "seed=-1: input should be greater than or equal to 0"),
    "seed too large": ({}, "seed=4294967296", "seed=4294967296: input should be less than 4294967296"),
    "unknown precision": ({}, "trainer.precision=8", "trainer.precision=8: choose one of"),
    "unknown accelerator": ({}, "trainer.accelerator=tpu", "trainer.accelerator=tpu: choose one of 'auto', 'cpu', 'gpu'"),
    "steps 0": ({}, "trainer.max_steps=0", "trainer.max_steps=0: input should be greater than 0"),
    "no end": ({}, "trainer.max_steps=null", "how long to train is not said"),
    "interval 0": ({}, "trainer.val_check_interval=0", "trainer.val_check_interval=0: input should be greater than 0"),
    "workers below 0": ({}, "trainer.num_workers=-1", "trainer.num_workers=-1: input should be greater than or equal to 0"),
    "id with a slash": ({}, "id=a/b", "id=a/b: letters, digits and . _ - only"),
    "id out of the folder": ({}, "id=../../x", "id=../../x: letters, digits and . _ - only"),
    "id empty": ({}, "id=", "id= is empty; if it comes from a variable of the shell, that is not set"),
    "name empty": ({}, "name=", "name= is empty"),
    "name with a slash": ({}, "name=../evil", "name=../evil: letters, digits and . _ - only"),
    "name with spaces": ({}, "'name=naïve 模型'", "cannot read the override 'name=naïve 模型'"),
    "runs a file": ({"runs": "x"}, "", "runs=runs: no folder can be made there"),
    "several values": ({}, "model=gru,lstm", "gives several values: add -m to train each"),
    "given twice": ({}, "model.hidden_size=4 model.hidden_size=8", "'model.hidden_size' is given twice"),
    "experiment given twice": ({}, "experiment=adding experiment=morse", "'experiment' is given twice"),
    "no assignment": ({}, "foo", "cannot read the override 'foo'; write group=name or group.option=value"),
    "an open bracket": ({}, "model.hidden_size=[", "cannot read the override 'model.hidden_size=['"),
    "signs of the shell": ({}, "'runs=a;b$c'", "is quoted twice, for the shell and for Hydra"),
    "an experiment's other head": ({}, "experiment=audio_classify head=transcribe", "sets head.pooling, which head=transcribe does not have"),
    "a flag for an override": ({}, "--experiment=adding", "no flag --experiment; write experiment=adding"),
    "an unknown flag": ({}, "--gpu", "no flag --gpu; Known: --fresh"),
    "a config folder that is not there": ({}, "--config-dir nowhere", "nowhere' not found"),
}  # fmt: skip

# refused by what the data are: the run's first lines, about the data, come before
LATE = {
    "bidirectional": ({"a.txt": TEXT}, "data=text_files data.seq_len=8 data.path=a.txt data.split=[0.6,0.2,0.2] model.bidirectional=true", "set model.bidirectional=false"),
    "bands too high": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.fmax=9000", "frontend.fmax=9000: at most 4000 Hz"),
    "bands turned round": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.fmin=3000 frontend.fmax=2000", "frontend.fmin=3000: must be below"),
    "too many bands": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.n_mels=4000", "frontend.n_mels=4000: too many bands"),
    "hop over window": (sounds(), "data=audio_folder data.path=sounds frontend=logmel frontend.hop=0.1", "longer than frontend.window"),
    "projection too wide": ({}, "data=adding model.hidden_size=8 model.projection_size=9", "model.projection_size=9: must be less than model.hidden_size=8"),
    "a norm of one unit": ({}, "data=adding model.hidden_size=1 model.layer_norm=true", "one hidden unit has nothing to be normalised over"),
    "no cell to zone out": ({}, "data=adding model=gru model.zoneout_cell=0.1", "has no state but the hidden one; use model.zoneout"),
    "nesterov alone": ({}, "data=adding optimizer=sgd optimizer.nesterov=true", "optimizer.nesterov=true needs optimizer.momentum above 0"),
    "another frontend": ({}, "data=adding frontend=embedding", "frontend=embedding needs tokens, this data has Frames; use frontend=frames"),
    "another head": ({}, "data=adding head=classify", "head=classify needs classes, this data has Series; use head=forecast"),
    "a model larger than memory": ({}, "data=adding model.hidden_size=1000000", "parameters needs 64 TB of memory in training"),
    "a model larger than numbers": ({}, f"data=adding model.hidden_size={10**30}", "more parameters than can be counted; make it smaller"),
    "a batch larger than memory": ({}, "data=adding data.batch_size=1000000000 data.train_size=1000000000", "batches of 1,000,000,000 samples need about"),
    "an order larger than memory": ({}, f"data=adding data.train_size={10**13}", "a training part of 10,000,000,000,000 samples needs 80 TB of memory"),
    "workers without end": ({}, "data=adding trainer.num_workers=100000", "trainer.num_workers=100000 needs 5 TB of memory"),
    "a transcript too long": (manifest("low/0.wav,a", "low/1.wav,b", f"low/2.wav,{'ab' * 90}", "low/3.wav,a", header="path,transcript"), "data=audio_folder data.manifest=sounds/files.csv data.valid_fraction=0.25 data.test_fraction=0.25", "sounds/files.csv, line 4: a transcript of 180 symbols needs 180 output steps, 2.wav gives 18"),
}  # fmt: skip

COMMANDS = {
    "unknown command": ({}, "trian", "no command 'trian'. Did you mean 'train'?"),
    "list of an unknown kind": ({}, "list modle", "no kind of component 'modle'. Did you mean 'model'?"),
    "describe an unknown model": ({}, "describe model=lsmt", "no model 'lsmt'. Did you mean 'lstm'?"),
    "describe an unknown kind": ({}, "describe modle=lstm", "no kind of component 'modle'. Did you mean 'model'?"),
    "describe a kind": ({}, "describe model", "say which model: seqkit describe model=NAME"),
    "describe an unknown experiment": ({}, "describe experiment=mors", "no experiment 'mors'. Did you mean 'morse'?"),
    "describe data with options": ({}, "describe data=adding data.length=5", "options can be set to describe a model, model=NAME, only"),
    "describe with another option": ({}, "describe model=lstm data.length=5", "'data.length=5': write model.OPTION=VALUE"),
    "describe with an unknown option": ({}, "describe model=lstm model.foo=5", "no option 'foo' in model=lstm"),
    "describe no run": ({}, "describe runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "evaluate no run": ({}, "evaluate runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "evaluate a file": ({"a.txt": TEXT}, "evaluate a.txt", "a.txt is not a checkpoint of seqkit"),
    "resume no run": ({}, "resume runs/x/y", "is not a run: there is no config.json in it"),
    "resume a file": ({"a.txt": TEXT}, "resume a.txt", "a.txt is not a run"),
    "predict with no run": ({}, "predict runs/x/y a.txt", "runs/x/y is not a run: there is no config.json in it"),
    "generate with no run": ({}, "generate runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
    "export no run": ({}, "export runs/x/y", "runs/x/y is not a run: there is no config.json in it"),
}  # fmt: skip


# of commands on trained runs: {adding}, {text} and {sounds}
ON_RUNS = {
    "evaluate in batches of 0": ({}, "evaluate {adding} --batch-size 0", "batch size 0: must be 1 or more"),
    "evaluate with an unknown option": ({}, "evaluate {adding} data.nonsense=1", "no option 'nonsense' in data=adding"),
    "evaluate with a word for a number": ({}, "evaluate {adding} data.length=x", "data.length=x: input should be a valid integer"),
    "evaluate another model": ({}, "evaluate {adding} model.hidden_size=5", "only data.OPTION=VALUE can be changed for an evaluation"),
    "evaluate a bare word": ({}, "evaluate {adding} foo", "'foo': only data.OPTION=VALUE"),
    "evaluate with an open bracket": ({}, "evaluate {adding} data.length=[", "cannot read the override 'data.length=['"),
    "evaluate on a text that is gone": ({}, "evaluate {text} data.path=gone.txt", "gone.txt: no such file or folder"),
    "evaluate on another text": ({"other.txt": "0123456789\n" * 99}, "evaluate {text} data.path=other.txt", "differ in kind, vocabulary or scale from those the network was trained on"),
    "generate numbers": ({}, "generate {adding}", "generate needs a model with head=next_token; this one predicts Series"),
    "generate from an unknown character": ({}, "generate {text} é", "unknown to the model: 'é'"),
    "generate less than nothing": ({}, "generate {text} --length -1", "length=-1: give 0 tokens or more"),
    "generate at -1": ({}, "generate {text} --temperature -1", "temperature=-1.0: give 0 (always the likeliest token) or more"),
    "generate at nan": ({}, "generate {text} --temperature nan", "temperature=nan: give 0"),
    "generate from no tokens": ({}, "generate {text} --top-k 0", "top_k=0: give 1 token or more to draw from"),
    "predict an unknown character": ({}, "predict {text} é", "unknown to the model: 'é'"),
    "predict from a text that is not there": ({"book.txt": TEXT}, "predict {text} bok.txt", "bok.txt: no such file. Did you mean 'book.txt'?"),
    "predict from an empty file": ({"a.txt": ""}, "predict {text} a.txt", "a.txt: is empty"),
    "predict from nothing": ({}, "predict {text} ''", "'': no text to predict from"),
    "predict from a table that is not there": ({}, "predict {adding} t.csv", "t.csv: no such file"),
    "predict from a table of other columns": ({"t.csv": hourly()}, "predict {adding} t.csv", "t.csv: no column 'value'. Columns: date, load, heat"),
    "predict from an empty path": ({}, "predict {adding} ''", "a path cannot be empty; is the variable set?"),
    "predict from garbage": ({"x.wav": b"garbage"}, "predict {sounds} x.wav", "x.wav: cannot be read as WAV or FLAC"),
    "predict from a sound that is cut off": ({"x.wav": wav()[:1000]}, "predict {sounds} x.wav", "x.wav: cut off"),
    "predict from a pipe": ({"x.wav": os.mkfifo}, "predict {sounds} x.wav", "x.wav: is not a regular file"),
    "predict from a folder": (sounds(), "predict {sounds} sounds", "sounds: is a folder. Expected a WAV or FLAC file"),
    "export to another ending": ({}, "export {adding} --output x.txt", "x.txt: a file of this format must be named *.onnx"),
    "export to no folder": ({}, "export {adding} --output nowhere/x.onnx", "nowhere: no such folder"),
    "describe a run with options": ({}, "describe {adding} model.hidden_size=5", "options can be set to describe a model, model=NAME, only"),
}  # fmt: skip

USAGE = {
    "evaluate": "the following arguments are required: run",
    "predict": "the following arguments are required: run, INPUT",
    "predict runs/x": "the following arguments are required: INPUT",
    "generate": "the following arguments are required: run",
    "export": "the following arguments are required: run",
    "resume": "the following arguments are required: run",
    "describe": "the following arguments are required: what",
    "evaluate runs/x --split train": "argument --split: invalid choice: 'train'",
    "evaluate runs/x --device tpu": "argument --device: invalid choice: 'tpu'",
    "evaluate runs/x --batch-size x": "argument --batch-size: invalid int value: 'x'",
    "evaluate runs/x --nonsense": "unrecognized arguments: --nonsense",
    "generate runs/x --length x": "argument --length: invalid int value: 'x'",
    "generate runs/x a b": "unrecognized arguments: b",
    "export runs/x --format tflite": "argument --format: invalid choice: 'tflite'",
    "list model x": "unrecognized arguments: x",
    "train --fresh=3": "argument --fresh: ignored explicit argument '3'",
}

# name: files, words, the line that says so
ACCEPTED = {
    "copies in train and test": ({f"sounds/{label}/{n}.wav": wav(pitch) for label, pitch in (("low", 300), ("high", 900)) for n in range(4)}, "data=audio_folder data.path=sounds", "sounds: 4 files to be scored are byte for byte files that are trained on, such as "),
    "some files silent": ({**sounds(), "sounds/low/0.wav": wav(level=0)}, "data=audio_folder data.path=sounds", "sounds: 1 of 8 files are silent, such as sounds/low/0.wav"),
    "a constant column": ({"t.csv": "load,heat\n" + "".join(f"{n % 7},3\n" for n in range(60))}, "data=series_csv data.path=t.csv data.lookback=8 data.horizon=2", "t.csv: never changing in the training part, so that nothing can be learned from it: heat"),
    "line ends of Windows": ({"a.txt": TEXT.replace("\n", "\r\n")}, "data=text_files data.path=a.txt data.seq_len=8 data.split=[0.6,0.2,0.2]", "data line ends: 60 of Windows (\\r\\n) read as \\n"),
    "a column of words": ({"t.csv": "load,place\n" + "".join(f"{n % 7},here\n" for n in range(60))}, "data=series_csv data.path=t.csv data.lookback=8 data.horizon=2", "data left out: columns without numbers: place"),
}  # fmt: skip

TABLES = {"series": SERIES, "texts": TEXTS, "sounds": SOUNDS, "configs": CONFIGS, "late": LATE, "commands": COMMANDS}
CASES = {f"{table}: {name}": (PREFIX[table], *case) for table, cases in TABLES.items() for name, case in cases.items()}


def command(prefix: str, words: str) -> list[str]:
    """Return the words of a command, those of the prefix that are given again left out."""
    given = shlex.split(words)
    keys = {word.partition("=")[0] for word in given}
    return [word for word in prefix.split() if word.partition("=")[0] not in keys] + given


@pytest.fixture(autouse=True)
def _never_hangs():
    """Interrupt a test that waits for a pipe."""

    def late(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", CASES)
def test_refused(name, capsys):
    prefix, files, words, fragment = CASES[name]
    make(files)
    assert run(command(prefix, words)) == 1
    out, err = capsys.readouterr()
    *before, line = err.splitlines()
    assert line.startswith("seqkit: ")
    assert fragment in line
    assert all(early.startswith(("run ", "data ")) for early in before)
    assert not before or name.startswith("late: ")
    assert out == ""
    assert not list(Path().glob("runs/*/*"))


@pytest.fixture(scope="module")
def trained(originals, tmp_path_factory) -> dict[str, Path]:
    """Return the folders of three tiny runs, by what they were trained on."""
    here = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    with contextlib.chdir(here):
        make({"book.txt": TEXT, **sounds()})
        text = ["data=text_files", "data.path=book.txt", "data.seq_len=8", "data.split=[0.6,0.2,0.2]"]
        for data in (text, ["data=audio_folder", "data.path=sounds"]):
            assert run(["train", *data, *SMALL]) == 0
    runs = here / "runs"
    return {"adding": originals / "finished", "text": runs / "text_files" / "x", "sounds": runs / "audio_folder" / "x"}


@pytest.mark.parametrize("name", ON_RUNS)
def test_refused_on_a_run(name, trained, capsys):
    files, words, fragment = ON_RUNS[name]
    make(files)
    assert run(shlex.split(words.format(**trained))) == 1
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    assert line.startswith("seqkit: ")
    assert fragment in line
    assert out == ""


@pytest.mark.parametrize("words", USAGE)
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(words.split())
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    usage, *_, line = err.splitlines()
    assert usage.startswith("usage: seqkit ")
    assert line.startswith(f"seqkit {words.split()[0]}: error: {USAGE[words]}")
    assert out == ""


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_with_a_line(name, capsys):
    files, words, fragment = ACCEPTED[name]
    make(files)
    assert run(["train", *words.split(), *SMALL]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if fragment in line]
    assert line.startswith(fragment)


def test_overrides_behind_a_flag_are_read(capsys):
    words = ["data=adding", "data.length=6", "data.train_size=16", "data.valid_size=8", "data.test_size=8"]
    assert run(["train", *words, "model=elman,gru", "-m", *SMALL]) == 0
    assert sorted(path.name for path in Path("runs/adding").iterdir()) == ["x-0", "x-1"]
