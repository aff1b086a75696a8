"""Bad tables of sequences, .ts files and tables to predict for: each is one line with its place, nothing is guessed."""

import pytest

from seqkit.data.loading import set_up
from seqkit.errors import SeqkitError
from seqkit.registry import build, load_built_in
from tests.bad_files import make


def walks(changes=None, header="id,t,x,y,kind", sequences=8, steps=4, mark=","):
    """Return a long table of sequences of two classes, some of its lines (from 1) put otherwise."""
    lines = [header]
    for number in range(sequences):
        lines += [f"w{number},{t},{number % 2 + 0.5 * t},{t * t},{'ab'[number % 2]}" for t in range(steps)]
    lines = [line.replace(",", mark) for line in lines]
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(line for line in lines if line is not None) + "\n"


def ts(changes=None, more="", cases=8):
    """Return a .ts file of two dimensions and two classes, some of its lines (from 1) put otherwise."""
    lines = ["@problemName walks", "@timeStamps false", "@dimensions 2", "@classLabel true a b", "@data"]
    lines += [f"0.5,{number},2:1,2,{number % 3}:{'ab'[number % 2]}" for number in range(cases)]
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(line for line in lines if line is not None) + more + "\n"


LONG = {"path": "t.csv", "sequence": "id", "label": "kind"}
TIMED = {**LONG, "time_column": "t"}
NUMBERS = {"path": "t.csv", "sequence": "id", "targets": ["y"]}
CASES = {"path": "t.ts"}
FOLDER = {"path": "walks"}
PART = "x\n1\n2\n"


def folder(**changed):
    """Return the files of a folder of two classes."""
    files = {f"walks/{kind}/{number}.csv": f"x,y\n{number},2\n3,{number}\n" for kind in "ab" for number in range(4)}
    return {**files, **{name.replace("__", "/") + ".csv": content for name, content in changed.items()}}


# name: files, options of the data, what the line says
BAD = {
    # --- a long table
    "no sequence column said": ({"t.csv": walks()}, {"path": "t.csv"}, "a table of sequences needs data.sequence=COLUMN and either data.label=COLUMN"),
    "no label said": ({"t.csv": walks()}, {"path": "t.csv", "sequence": "id"}, "either data.label=COLUMN (a class) or data.targets=[COLUMN]"),
    "label and targets": ({"t.csv": walks()}, {**LONG, "targets": ["y"]}, "either data.label=COLUMN (a class) or data.targets=[COLUMN]"),
    "targets empty": ({"t.csv": walks()}, {**NUMBERS, "targets": []}, "data.targets=[]: name at least one column"),
    "missing file": ({}, LONG, "t.csv: no such file"),
    "empty file": ({"t.csv": ""}, LONG, "t.csv: is empty"),
    "header only": ({"t.csv": "id,x,kind\n"}, LONG, "t.csv: has no rows below its header"),
    "no header": ({"t.csv": "\n".join(walks().splitlines()[1:])}, LONG, "t.csv: two columns are named '0'"),
    "no sequence column": ({"t.csv": walks(header="name,t,x,y,kind")}, {**LONG, "sequence": "names"}, "no column 'names'. Did you mean 'name'? Columns: name, t, x, y, kind. Say data.sequence=COLUMN"),
    "no label column": ({"t.csv": walks(header="id,t,x,y,kinds")}, LONG, "no column 'kind'. Did you mean 'kinds'? Columns: id, t, x, y, kinds. Say data.label=COLUMN"),
    "no input column": ({"t.csv": walks()}, {**LONG, "inputs": ["z"]}, "no column 'z'. Columns: id, t, x, y, kind. Say data.inputs=[COLUMN]"),
    "no number to read": ({"t.csv": "id,kind\n" + "".join(f"w{n // 4},{'ab'[n // 4 % 2]}\n" for n in range(32))}, LONG, "t.csv: no column of numbers beside id, kind"),
    "UTF-16": ({"t.csv": walks().encode("utf-16")}, LONG, "t.csv: is UTF-16 text; save it as UTF-8"),
    "NUL bytes": ({"t.csv": b"id,x,ki\0nd\n"}, LONG, "t.csv, line 1: holds NUL bytes"),
    "Latin-1": ({"t.csv": walks({7: "w1,1,1,1,\xe9"}).encode("latin-1")}, LONG, "t.csv, line 7"),
    "ragged, longer": ({"t.csv": walks({5: "w0,3,1,1,a,7"})}, LONG, "t.csv, line 5: 6 cells, the header has 5; a comma inside a cell needs quotes"),
    "two separators": ({"t.csv": walks(mark=";", header="id;t;x;y;kind, if any")}, {**LONG, "separator": "pipe"}, "line 1: no pipe in it, as data.separator=pipe asks for, but a semicolon"),
    "separator that is not there": ({"t.csv": walks()}, {**LONG, "separator": "tab"}, "t.csv, line 1: no tab in it, as data.separator=tab asks for, but a comma"),
    "separators that both divide": ({"t.csv": "id,x;kind\n" + "w,1;a\n" * 8}, LONG, "line 1: its cells may be separated by comma or semicolon. Say data.separator=comma"),
    "decimal marks mixed": ({"t.csv": walks({4: "w0;2;1,5;4;a"}, mark=";")}, LONG, "decimal points and decimal commas are mixed, '0.0' in line 2 and '1,5' in line 4"),
    "comma: thousands or decimal": ({"t.csv": "id;x;kind\n" + "".join(f"w{n // 2};1,23{n % 10};a\n" for n in range(9))}, LONG, "line 2, column 'x': '1,230' may be 1230 or 1.230. Say data.decimal=point for 1230"),
    "point: thousands or decimal": ({"t.csv": "id;x;kind\n" + "".join(f"w{n // 2};1.23{n % 10};a\n" for n in range(9))}, LONG, "line 2, column 'x': '1.230' may be 1.230 or 1230. Say data.decimal=point for 1.230"),
    "another decimal mark": ({"t.csv": walks({4: "w0;2;1,5;4;a"}, mark=";")}, {**LONG, "decimal": "comma"}, "is not a number with a decimal comma"),
    "a word among numbers": ({"t.csv": walks({4: "w0,2,high,4,a"})}, LONG, "t.csv, line 4, column 'x': 'high' is not a number"),
    "infinity": ({"t.csv": walks({4: "w0,2,inf,4,a"})}, LONG, "t.csv, line 4, column 'x': inf is not a finite number"),
    "1e300": ({"t.csv": walks({4: "w0,2,1e300,4,a"})}, LONG, "t.csv, line 4, column 'x': 1e+300 does not fit single precision"),
    "an empty cell": ({"t.csv": walks({4: "w0,2,,4,a"})}, LONG, "t.csv, line 4, column 'x': no value (the only one)"),
    "an empty label": ({"t.csv": walks({4: "w0,2,1,4,"})}, LONG, "t.csv, line 4, column 'kind': no value"),
    "two labels in a sequence": ({"t.csv": walks({4: "w0,2,1,4,b"})}, LONG, "t.csv, line 4, column 'kind': 'b', and 'a' in line 2 of the same series"),
    "an empty id": ({"t.csv": walks({4: ",2,1,4,a"})}, LONG, "t.csv, line 4, column 'id': no name"),
    "one class": ({"t.csv": walks().replace(",b", ",a")}, LONG, "t.csv: all sequences are of one class, 'a'"),
    "a class in the test part only": ({"t.csv": walks(header="id,t,x,y,kind,part").replace(",a\n", ",a,train\n").replace(",b\n", ",b,test\n")}, {**LONG, "split": "part"}, "sequence 'w1': label 'b' of the test part is on no training sequence"),
    "a split of another name": ({"t.csv": walks(header="id,t,x,y,kind,part").replace(",a\n", ",a,train\n").replace(",b\n", ",b,tset\n")}, {**LONG, "split": "part"}, "split 'tset' is not known. Did you mean 'test'?"),
    "two splits in a sequence": ({"t.csv": walks({3: "w0,1,1,1,a,test"}, header="id,t,x,y,kind,part").replace(",a\n", ",a,train\n").replace(",b\n", ",b,test\n")}, {**LONG, "split": "part"}, "line 3, column 'part': 'test', and 'train' in line 2"),
    "split and files of parts": ({"t.csv": walks(), "u.csv": walks()}, {**LONG, "split": "part", "test": "u.csv"}, "data.split names the parts in one table"),
    "no training part": ({"t.csv": walks(header="id,t,x,y,kind,part").replace(",a\n", ",a,valid\n").replace(",b\n", ",b,test\n")}, {**LONG, "split": "part"}, "t.csv: column 'part' has no row with 'train'"),
    "folders of parts": ({"f/train/a.csv": walks(), "f/test/a.csv": walks()}, {"path": "f"}, "f: has folders test, train; sub-folders are classes. Give the parts as data.path=f/train data.test=f/test"),
    "too few sequences": ({"t.csv": walks(sequences=2)}, LONG, "t.csv: 2 sequences are too few to draw a valid part"),
    "sequences of one step": ({"t.csv": walks(steps=1)}, LONG, "t.csv: every sequence has one row"),
    "ids that are rows": ({"t.csv": "id,x,kind\n" + "".join(f"w{n},{n},{'ab'[n % 2]}\n" for n in range(40))}, LONG, "column 'id': 40 different values in 40 rows"),
    "falling times": ({"t.csv": walks({3: "w0,2,1,1,a", 4: "w0,1,1,1,a"})}, TIMED, "t.csv, line 4, column 't': an earlier time than line 3"),
    "a time twice": ({"t.csv": walks({3: "w0,0,1,1,a"})}, TIMED, "t.csv, line 3, column 't': the same time as line 2"),
    "a time left out": ({"t.csv": walks({5: "w0,4,1,1,a"})}, TIMED, "t.csv, line 5, column 't': 2 after the row before"),
    "no time": ({"t.csv": walks({3: "w0,noon,1,1,a"})}, TIMED, "t.csv, line 3, column 't': 'noon' is not a time"),
    "a date of two readings": ({"t.csv": "id,t,x,kind\n" + "".join(f"w{n // 4},0{1 + n % 4}/02/2024,{n},{'ab'[n // 4 % 2]}\n" for n in range(32))}, TIMED, "'01/02/2024' may be read as data.date_format=%d/%m/%Y (2024-02-01) or data.date_format=%m/%d/%Y (2024-01-02)"),
    "a format that is none": ({"t.csv": walks()}, {**TIMED, "date_format": "day"}, "line 2, column 't': '0' is not a time. Expected one written as day"),
    "a target that changes": ({"t.csv": walks()}, NUMBERS, "line 3, column 'y': '1.0', and '0.0' in line 2 of the same series"),
    "a target that is a word": ({"t.csv": walks()}, {**NUMBERS, "targets": ["kind"]}, "line 2, column 'kind': 'a' is not a number"),
    "a target that never changes": ({"t.csv": "id,x,y\n" + "".join(f"w{n // 4},{n},7\n" for n in range(48))}, NUMBERS, "target 'y' never changes in the training part"),
    "nothing left to train on": ({"t.csv": walks()}, {**LONG, "valid_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    "other columns in the test file": ({"t.csv": walks(), "u.csv": walks(header="id,t,x,z,kind")}, {**LONG, "test": "u.csv"}, "u.csv: columns t, x, z; those of t.csv are t, x, y"),
    # --- .ts files
    "ts: no data line": ({"t.ts": ts({5: None})}, CASES, "before @data"),
    "ts: nothing but comments": ({"t.ts": "# a\n# b\n"}, CASES, "t.ts: no line @data"),
    "ts: no case": ({"t.ts": ts(cases=0)}, CASES, "t.ts: no sequence below @data"),
    "ts: no labels": ({"t.ts": ts({4: "@classLabel false"})}, CASES, "t.ts, line 6: 3 dimensions, expected 2 as in the header"),
    "ts: time stamps": ({"t.ts": ts({2: "@timeStamps true"})}, CASES, "t.ts, line 2: sequences with time stamps in pairs are not read"),
    "ts: dimensions no number": ({"t.ts": ts({3: "@dimensions two"})}, CASES, "@dimensions two in the header is no number"),
    "ts: too many dimensions": ({"t.ts": ts({8: "1,2,3:1,2,3:1,2,3:a"})}, CASES, "t.ts, line 8: 3 dimensions, expected 2"),
    "ts: another label": ({"t.ts": ts({8: "1,2,3:1,2,3:c"})}, CASES, "t.ts, line 8: label 'c' is not in the header"),
    "ts: no label in a line": ({"t.ts": ts({8: "1,2,3:1,2,3:"})}, CASES, "t.ts, line 8: no label"),
    "ts: a word": ({"t.ts": ts({8: "1,x,3:1,2,3:a"})}, CASES, "t.ts, line 8, dimension 1: 'x' is not a number"),
    "ts: infinity": ({"t.ts": ts({8: "1,2,3:1,inf,3:a"})}, CASES, "t.ts, line 8, dimension 2: inf is not a finite number"),
    "ts: a gap": ({"t.ts": ts({8: "1,?,3:1,2,3:a"})}, CASES, "t.ts, line 8, column 'dim_1': no value (the only one)"),
    "ts: dimensions of two lengths": ({"t.ts": ts({8: "1,2,3:1,2:a"})}, CASES, "t.ts, line 8: dimensions of 2 to 3 values"),
    "ts: a header line among cases": ({"t.ts": ts({8: "@data"})}, CASES, "t.ts, line 8: '@data' below @data"),
    "ts: not UTF-8": ({"t.ts": ts().encode() + b"\xff\n"}, CASES, "t.ts, line 14: is not UTF-8"),
    "ts: options of tables": ({"t.ts": ts()}, {**CASES, "label": "kind"}, "data.label is for a table with many sequences; t.ts is none"),
    "ts: a target that is a word": ({"t.ts": ts({4: "@targetLabel true"})}, CASES, "t.ts, line 6: target 'a' is not a number"),
    # --- a folder of tables
    "folder: empty": ({"walks": lambda path: path.mkdir()}, FOLDER, "walks: no tables"),
    "folder: an empty class": ({**folder(), "walks/c": lambda path: path.mkdir()}, FOLDER, "walks/c: no table in it"),
    "folder: other columns": (folder(walks__b__9="x,z\n1,2\n"), FOLDER, "walks/b/9.csv: no column 'y'"),
    "folder: a broken table": (folder(walks__b__9="x,y\n1,2\n1,a\n"), FOLDER, "walks/b/9.csv, line 3, column 'y': 'a' is not a number"),
    "folder: an empty table": (folder(walks__b__9="x,y\n"), FOLDER, "walks/b/9.csv: has no rows below its header"),
    "folder: options of tables": (folder(), {**FOLDER, "sequence": "id"}, "data.sequence is for a table with many sequences; walks is none"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files, options, fragment = BAD[name]
    make(files)
    load_built_in()
    with pytest.raises(SeqkitError) as caught:
        set_up(build("data", {"name": "sequence_table", **options}))
    line = str(caught.value)
    assert fragment in line
    assert "\n" not in line


def test_the_files_that_are_spoilt_are_good_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make({"t.csv": walks(sequences=12), "t.ts": ts(cases=12), **folder()})
    load_built_in()
    for options in (TIMED, CASES, FOLDER):
        data = build("data", {"name": "sequence_table", **options})
        set_up(data)
        assert data.spec.task.names == ("a", "b")
