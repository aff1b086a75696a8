import importlib.util
from pathlib import Path

import pytest
import torch

from seqkit.data.sequence_table import SequenceTable
from seqkit.errors import DataError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.classify.neighbours import NearestNeighbour
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.regress.spec import Numbers
from tests.bad_files import make, xlsx
from tests.test_bad_sequences import folder, ts, walks

SPLITS = ("train", "valid", "test")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(**options):
    data = SequenceTable(**{"path": "t.csv", "batch_size": 3, **options})
    data.setup()
    return data


def samples(data, split):
    return [data.part(split)[index] for index in range(len(data.part(split)))]


def test_a_long_table_with_a_class_per_sequence():
    make({"t.csv": walks(sequences=12)})
    data = made(sequence="id", label="kind", time_column="t")
    assert data.spec.task == Classes(("a", "b"), (4, 4))
    assert data.spec.inputs.names == ("x", "y")
    assert [len(data.part(split)) for split in SPLITS] == [8, 2, 2]  # of each class one
    for split in SPLITS:
        for rows_TI, label in samples(data, split):
            number = label.item() + 0.5 * torch.arange(4)
            assert torch.equal(rows_TI, torch.stack((number, torch.arange(4.0) ** 2), 1))
    train_RI = torch.cat([rows_TI for rows_TI, _ in samples(data, "train")]).double()
    torch.testing.assert_close(torch.tensor(data.spec.inputs.mean), train_RI.mean(0).float())
    torch.testing.assert_close(torch.tensor(data.spec.inputs.scale), train_RI.std(0, correction=0).float())
    assert data.spec == made(sequence="id", label="kind", time_column="t").spec


def test_numbers_lengths_and_notation_of_another_country():
    rows = [f"s{n};{n},5;{t};{n % 2},25" for n in range(10) for t in range(2 + n % 3)]
    make({"t.csv": "id;target;x;y\n" + "\n".join(rows) + "\n"})
    data = made(sequence="id", targets=["target"])
    values = torch.tensor([target.item() for _, target in samples(data, "train")])
    assert isinstance(data.spec.task, Numbers)
    assert data.spec.task.mean[0] == pytest.approx(values.double().mean().item())
    assert data.facts["read as"] == "separated by semicolon, decimal comma"
    assert data.facts["steps"] == "2 to 4 per sequence"
    batch = data.collate(samples(data, "train"))
    assert batch.targets.shape == (8, 1)
    assert batch.lengths.tolist() == [len(rows_TI) for rows_TI, _ in samples(data, "train")]


def test_the_parts_of_a_split_column_and_of_own_files():
    lines = walks(sequences=8, header="id,t,x,y,kind,part").splitlines()
    parts = [line + "," + SPLITS[(int(line[1]) // 2) % 3] for line in lines[1:]]
    make({"t.csv": "\n".join([lines[0], *parts]) + "\n", "u.csv": walks(sequences=4)})
    data = made(sequence="id", label="kind", split="part")
    assert [len(data.part(split)) for split in SPLITS] == [4, 2, 2]
    assert data.facts["split"] == "valid as given; test as given"
    make({"t.csv": walks(sequences=12)})
    data = made(sequence="id", label="kind", test="u.csv")
    assert [len(data.part(split)) for split in SPLITS] == [10, 2, 4]


def test_ts_files_and_what_is_missing_in_them():
    make({"t.ts": ts({8: "1,?,3:1,2,3:a"}, cases=10), "u.ts": ts(cases=4)})
    data = made(path="t.ts", test="u.ts", missing="interpolate")
    assert data.spec.task.names == ("a", "b")
    assert data.spec.inputs.names == ("dim_1", "dim_2")
    assert [len(data.part(split)) for split in SPLITS] == [8, 2, 4]
    columns = [rows_TI[:, 0].tolist() for split in SPLITS for rows_TI, _ in samples(data, split)]
    assert [1.0, 2.0, 3.0] in columns
    make({"n.ts": ts({4: "@targetLabel true"}, cases=10).replace(":a", ":1.5").replace(":b", ":2")})
    assert made(path="n.ts").spec.task.names == ("target",)


def test_a_folder_of_tables():
    make(folder())
    data = made(path="walks")
    assert data.spec.task.names == ("a", "b")
    assert sum(len(data.part(split)) for split in SPLITS) == 8
    for rows_TI, _ in samples(data, "train"):
        assert rows_TI[0, 0] == rows_TI[1, 1]  # the number of the file


@pytest.mark.skipif(importlib.util.find_spec("fastexcel") is None, reason="needs fastexcel")
def test_an_excel_workbook():
    rows = [line.split(",") for line in walks(sequences=12).splitlines()]
    typed = [rows[0], *([row[0], *map(float, row[1:4]), row[4]] for row in rows[1:])]
    make({"t.xlsx": xlsx({"Walks": typed}), "t.csv": walks(sequences=12)})
    options = {"sequence": "id", "label": "kind", "time_column": "t"}
    data, same = made(path="t.xlsx", **options), made(**options)
    for split in SPLITS:
        for (rows_TI, label), (other_TI, other) in zip(samples(data, split), samples(same, split), strict=True):
            assert torch.equal(rows_TI, other_TI)
            assert label == other


def test_what_was_read_can_be_predicted_for():
    make({"t.csv": walks(sequences=3), "u.ts": ts(cases=3)})
    spec = Frames(("x", "y"), (0.0, 0.0), (1.0, 1.0), time_column="t", series="id")
    path = Path("t.csv")
    found = dict(spec.sequences(path, None))
    assert list(found) == ["w0", "w1", "w2"]
    assert found["w1"][:, 0].tolist() == [1, 1.5, 2, 2.5]
    assert spec.sequences(path, 4) is None  # a forecast reads the end of each
    other = Frames(("dim_1", "dim_2"), (0.0, 0.0), (1.0, 1.0))
    assert [name for name, _ in other.sequences(path.with_name("u.ts"), None)] == ["1", "2", "3"]
    with pytest.raises(DataError, match="line 6: 2 dimensions; the model reads 1"):
        list(Frames(("dim_1",), (0.0,), (1.0,)).sequences(path.with_name("u.ts"), None))


def test_the_nearest_neighbour_has_the_class_of_the_most_alike():
    make({"t.csv": walks(sequences=12)})
    data = made(sequence="id", label="kind")
    baseline = NearestNeighbour(data, data.spec.inputs.mean, data.spec.inputs.scale, 2)
    batch = data.collate(samples(data, "test"))
    assert torch.equal(baseline(batch).logits_BC.argmax(1), batch.targets)
    assert baseline(batch).logits_BC.exp().sum(1).tolist() == pytest.approx([1, 1])
    slow = torch.nn.functional.interpolate(batch.inputs.transpose(1, 2), 9, mode="linear", align_corners=True)
    longer = data.collate([(rows_IT.T, target) for rows_IT, target in zip(slow, batch.targets, strict=True)])
    assert torch.equal(baseline(longer).logits_BC.argmax(1), batch.targets)  # by shape, not by length
