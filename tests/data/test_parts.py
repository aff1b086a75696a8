import pytest

from seqkit.data.parts import check_fractions, class_folders, classes, draw_parts, named_part
from seqkit.errors import ConfigError, DataError
from seqkit.rng import generator
from seqkit.tasks.classify.spec import Classes


def drawn(given, groups, **fractions):
    return draw_parts(given, groups, fractions, generator("test", 0), "t.csv", "texts")


def test_each_group_gives_its_share():
    parts = drawn([None] * 40, ["a"] * 30 + ["b"] * 10, valid=0.2, test=0.1)
    assert [parts[:30].count(part) for part in ("train", "valid", "test")] == [21, 6, 3]
    assert [parts[30:].count(part) for part in ("train", "valid", "test")] == [7, 2, 1]


def test_what_is_given_stays_and_the_last_one_is_kept_for_training():
    assert drawn(["test", None, None, None], ["a", "a", "b", "b"], valid=0.5)[:2] == ["test", "train"]
    assert drawn(["test", "train", "train"], ["a", "a", "a"], valid=0.1).count("valid") == 1


def test_too_few_for_a_part():
    with pytest.raises(DataError, match=r"^t\.csv: 1 texts are too few to draw a valid part$"):
        drawn([None], ["a"], valid=0.5)
    with pytest.raises(DataError, match=r"^t\.csv: has no texts$"):
        drawn([], [], valid=0.5)
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        check_fractions(0.5, 0.5)


def test_a_part_by_any_of_its_names():
    assert {named_part(name, "") for name in ("valid", "val", "dev", "validation")} == {"valid"}
    assert [named_part(name, "") for name in ("train", "test")] == ["train", "test"]
    with pytest.raises(DataError, match=r"^line 3: split 'tset' is not known\. Did you mean 'test'\? Known: "):
        named_part("tset", "line 3")


def test_folders_of_parts_are_no_classes(tmp_path):
    for folder in ("normal", "test", ".hidden"):
        (tmp_path / folder).mkdir()
    assert class_folders(tmp_path, "") == [tmp_path / "normal", tmp_path / "test"]
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"has folders test, train; sub-folders are classes\. Do"):
        class_folders(tmp_path, "Do")


def test_classes_are_those_of_the_training_part():
    labels = {"train": [("b", "line 1"), ("a", "line 2"), ("b", "line 3")], "valid": [("a", "line 4")], "test": []}
    assert classes(labels, "text", "t.csv") == Classes(("a", "b"), (1, 2))
    with pytest.raises(DataError, match=r"^line 5: label 'c' of the test part is on no training text$"):
        classes({**labels, "test": [("c", "line 5")]}, "text", "t.csv")
    with pytest.raises(DataError, match=r"^t\.csv: all texts are of one class, 'b'; at least two are needed$"):
        classes({**labels, "train": [("b", "line 1")], "valid": []}, "text", "t.csv")


def test_classes_that_may_be_one_and_those_that_no_test_part_has_are_said(caplog):
    labels = {split: [(name, "") for name in ("a", "b")] for split in ("train", "valid", "test")}
    classes(labels, "text", "t.csv")
    assert not caplog.messages
    labels["train"] += [(name, "") for name in ("Pos", "pos", "c", "d")]
    classes(labels, "text", "t.csv")
    assert caplog.messages == [
        "t.csv: labels that differ in case only are classes of their own: 'Pos' and 'pos'",
        "t.csv: no text of the test part has the label 'Pos', 'c', 'd' and 1 more; the test scores say nothing of it",
    ]


def test_many_classes_that_differ_in_case_only_are_said_in_one_short_line(caplog):
    names = [f"{word}{number}" for number in range(1000) for word in ("a", "A")] + ["b" * 9999, "B" + "b" * 9998]
    classes({split: [(name, "") for name in names] for split in ("train", "valid", "test")}, "text", "t.csv")
    [line] = caplog.messages
    assert line.endswith(": 'A0' and 'a0', 'A1' and 'a1', 'A10' and 'a10' and 998 more")
    caplog.clear()
    classes({split: [(name, "") for name in names[-2:]] for split in ("train", "valid", "test")}, "text", "t.csv")
    assert len(caplog.messages[0]) < 300
