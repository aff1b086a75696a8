"""Bad tables, texts and recordings: each is one line, exit 1, no traceback; what is doubtful is said."""

import os

import pytest

from seqkit.__main__ import run
from tests.bad_files import SMALL, TEXT, command, folder, hourly, make, manifest, no_rate, refused, sounds, stacked, wav

PREFIX = {
    "series": "train data=series_table data.path=t.csv data.time_column=date data.lookback=8 data.horizon=2",
    "texts": "train data=text_files data.seq_len=8",
    "sounds": "train data=audio_folder frontend=logmel",
}

# name: files, words after the prefix, what the line says
SERIES = {
    "empty": ({"t.csv": ""}, "", "t.csv: is empty. Expected a header line"),
    "header only": ({"t.csv": "date,load\n"}, "", "t.csv: has no rows below its header"),
    "missing": ({"tt.csv": hourly()}, "", "t.csv: no such file. Did you mean 'tt.csv'?"),
    "a folder": ({"t.csv": folder}, "", "t.csv: is a folder. Expected a CSV, TSV, Parquet or Excel file"),
    "a pipe": ({"t.csv": os.mkfifo}, "", "t.csv: is not a regular file"),
    "Excel": ({"t.csv": b"PK\x03\x04aaaa"}, "", "t.csv: is an Excel workbook or another zip archive; name it with the ending .xlsx"),
    "old Excel": ({"t.csv": b"\xd0\xcf\x11\xe0aaaa"}, "", "is an old Excel workbook"),
    "Parquet named CSV": ({"t.csv": b"PAR1aaaa"}, "", "is a Parquet file; name it with the ending .parquet"),
    "garbage named Parquet": ({"t.parquet": b"garbage"}, "data.path=t.parquet", "t.parquet: cannot be read as Parquet"),
    "garbage named gz": ({"t.csv.gz": b"\x1f\x8bgarbage"}, "data.path=t.csv.gz", "t.csv.gz: cannot be read as CSV"),
    "lines of an old Mac": ({"t.csv": hourly().replace("\n", "\r")}, "", "t.csv: its lines end in carriage returns alone"),
    "UTF-16": ({"t.csv": hourly().encode("utf-16")}, "", "is UTF-16 text; save it as UTF-8"),
    "Latin-1 header": ({"t.csv": hourly(header="date,löad,heat").encode("latin-1")}, "", "line 1"),
    "Latin-1 cell": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1,é"}).encode("latin-1")}, "", "line 5"),
    "NUL bytes": ({"t.csv": b"date,lo\0ad\n1,2\n"}, "", "line 1: holds NUL bytes"),
    "ragged, longer": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1,3,4"})}, "", "line 5: 4 cells, the header has 3"),
    "ragged, shorter": ({"t.csv": hourly({5: "2024-01-01 03:00,0.1"})}, "", "line 5, column 'heat': no value"),
    "no header": ({"t.csv": "\n".join(hourly().splitlines()[1:])}, "", "no header line: line 1 holds '2024-01-01 00:00'"),
    "no such column": ({"t.csv": hourly()}, "data.targets=[laod]", "t.csv: no column 'laod'. Did you mean 'load'? Columns: date, load, heat. Say data.targets=[COLUMN]"),
    "no such column of several": ({"t.csv": hourly()}, "data.targets=[laod,heat]", "Columns: date, load, heat. Name it in data.targets"),
    "no such time column": ({"t.csv": hourly(header="day,load,heat")}, "", "no column 'date'. Columns: day, load, heat. Say data.time_column=COLUMN"),
    "two columns of a name": ({"t.csv": hourly(header="date,load,load")}, "", "two columns are named 'load'"),
    "a column without a name": ({"t.csv": hourly(header="date,load,")}, "", "column 3 has no name in the header"),
    "no column of numbers": ({"t.csv": "date,load\n2024-01-01,a\n2024-01-02,b\n"}, "", "no column of numbers"),
    "an empty column": ({"t.csv": hourly({n: f"2024-01-{1 + (n - 2) // 24:02d} {(n - 2) % 24:02d}:00,0.{n}," for n in range(2, 62)})}, "data.missing=interpolate", "column 'heat': no value in any row"),
    "a text cell": ({"t.csv": hourly({9: "2024-01-01 07:00,abc,1"})}, "", "line 9, column 'load': 'abc' is not a number"),
    "a cell of 5 MB": ({"t.csv": hourly({9: f"2024-01-01 07:00,{'x' * 5_000_000},1"})}, "", "... (5,000,000 characters)' is not a number"),
    "thousands": ({"t.csv": hourly({9: '2024-01-01 07:00,"5,123",1'})}, "", "line 9, column 'load': '5,123' may be 5123 or 5.123. Say data.decimal=point"),
    "decimal comma": ({"t.csv": hourly({9: '2024-01-01 07:00,"5,3",1'})}, "", "decimal points and decimal commas are mixed, '0.0000' in line 2 and '5,3' in line 9"),
    "percent": ({"t.csv": hourly({9: "2024-01-01 07:00,12 %,1"})}, "", "'12 %' is not a number. Write it as 12"),
    "infinity": ({"t.csv": hourly({9: "2024-01-01 07:00,inf,1"})}, "", "line 9, column 'load': inf is not a finite number"),
    "1e300": ({"t.csv": hourly({9: "2024-01-01 07:00,1e300,1"})}, "", "line 9, column 'load': 1e+300 does not fit single precision"),
    "varies too little": ({"t.csv": "load\n" + "".join(f"{1e9 + i % 3}\n" for i in range(60))}, "data.time_column=null", "too little for single precision"),
    "never changes": ({"t.csv": "load\n" + "3\n" * 60}, "data.time_column=null", "column 'load': always the same value"),
    "a gap": ({"t.csv": hourly({9: "2024-01-01 07:00,,1"})}, "", "line 9, column 'load': no value (the only one)"),
    "a gap at the start": ({"t.csv": hourly({2: "2024-01-01 00:00,,1"})}, "data.missing=forward", "line 2, column 'load': no value, and none before it"),
    "not a time": ({"t.csv": hourly({9: "noon,0.1,1"})}, "", "line 9, column 'date': 'noon' is not a time"),
    "no time": ({"t.csv": hourly({9: ",0.1,1"})}, "", "line 9, column 'date': no time"),
    "falling times": ({"t.csv": "\n".join([hourly().splitlines()[0], *reversed(hourly().splitlines()[1:])])}, "", "turn the file upside down"),
    "one falling time": ({"t.csv": hourly({9: "2024-01-01 01:30,0.1,1"})}, "", "line 9, column 'date': an earlier time than the row before"),
    "a time twice": ({"t.csv": hourly({9: "2024-01-01 06:00,0.1,1"})}, "", "data.repeats=first keeps the first"),
    "several series": ({"t.csv": stacked()}, "", "as of several series in one table. data.series=COLUMN reads those"),
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
    "tokenizer syllable": ({"a.txt": TEXT}, "data.path=a.txt data.tokenizer=syllable", "syllable"),
    "unit": ({"a.txt": TEXT}, "data.path=a.txt +data.unit=word", "no option 'unit' in data=text_files: it is data.tokenizer now"),
    "an unknown encoding": ({"a.txt": TEXT}, "data.path=a.txt data.encoding=utf8x", "data.encoding=utf8x: no such encoding. Did you mean 'utf-8'?"),
    "a small vocabulary of subwords": ({"a.txt": TEXT}, "data.path=a.txt data.tokenizer=bpe data.vocab_size=99", "data.vocab_size=99: data.tokenizer=bpe needs 300 tokens or more"),
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
    "manifest a folder": (sounds(), "data.manifest=sounds", "sounds: is a folder. Expected a table"),
    "manifest empty": ({"files.csv": ""}, "data.manifest=files.csv", "files.csv: is empty"),
    "manifest header only": ({"files.csv": "path,label\n"}, "data.manifest=files.csv", "files.csv: has no rows"),
    "manifest without header": ({**sounds(), "sounds/files.csv": "low/0.wav,low\nhigh/0.wav,high\n"}, "data.manifest=sounds/files.csv", "no header line. Expected path and label or transcript in line 1"),
    "manifest with semicolons": ({"files.csv": "path;label\na.wav;a\n"}, "data.manifest=files.csv", "files.csv, line 2: no file a.wav"),
    "manifest an Excel file": ({"files.csv": b"PK\x03\x04aaaa"}, "data.manifest=files.csv", "is an Excel workbook"),
    "manifest in Latin-1": ({"files.csv": b"path,label\na.wav,\xe9\n"}, "data.manifest=files.csv", "files.csv, line 2: is not UTF-8"),
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
    "manifest with a label in test only": (manifest("low/0.wav,low,train", "low/1.wav,low,train", "high/0.wav,high,test", header="path,label,split"), "data.manifest=sounds/files.csv", "line 4: label 'high' of the test part is on no training file"),
    "manifest with a symbol in test only": (manifest("low/0.wav,low,train", "low/1.wav,low,train", "high/0.wav,high,test", header="path,transcript,split"), "data.manifest=sounds/files.csv", "symbol 'h' of a test file is in no training transcript"),
}  # fmt: skip

# name: files, words, the line that says so
ACCEPTED = {
    "copies in train and test": ({f"sounds/{label}/{n}.wav": wav(pitch) for label, pitch in (("low", 300), ("high", 900)) for n in range(4)}, "data=audio_folder data.path=sounds", "sounds: 4 files to be scored are byte for byte files that are trained on, such as "),
    "some files silent": ({**sounds(), "sounds/low/0.wav": wav(level=0)}, "data=audio_folder data.path=sounds", "sounds: 1 of 8 files are silent, such as sounds/low/0.wav"),
    "a constant column": ({"t.csv": "load,heat\n" + "".join(f"{n % 7},3\n" for n in range(60))}, "data=series_table data.path=t.csv data.lookback=8 data.horizon=2", "t.csv: never changing in the training part, so that nothing can be learned from it: column 'heat'"),
    "line ends of Windows": ({"a.txt": TEXT.replace("\n", "\r\n")}, "data=text_files data.path=a.txt data.seq_len=8 data.split=[0.6,0.2,0.2]", "data line ends: 60 of Windows (\\r\\n) read as \\n"),
    "a column of words": ({"t.csv": "load,place\n" + "".join(f"{n % 7},here\n" for n in range(60))}, "data=series_table data.path=t.csv data.lookback=8 data.horizon=2", "data left out: columns without numbers: place"),
}  # fmt: skip

TABLES = {"series": SERIES, "texts": TEXTS, "sounds": SOUNDS}
CASES = {f"{table}: {name}": (PREFIX[table], *case) for table, cases in TABLES.items() for name, case in cases.items()}


@pytest.mark.parametrize("name", CASES)
def test_refused(name, capsys):
    prefix, files, words, fragment = CASES[name]
    make(files)
    refused(command(prefix, words), fragment, capsys)


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_with_a_line(name, capsys):
    files, words, fragment = ACCEPTED[name]
    make(files)
    assert run(["train", *words.split(), *SMALL]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if fragment in line]
    assert line.startswith(fragment)
