from seqkit.data.parts import draw_parts
from seqkit.rng import generator


def drawn(given, groups, **fractions):
    return draw_parts(given, groups, fractions, generator("test", 0))


def test_each_group_gives_its_share():
    parts = drawn([None] * 40, ["a"] * 30 + ["b"] * 10, valid=0.2, test=0.1)
    assert [parts[:30].count(part) for part in ("train", "valid", "test")] == [21, 6, 3]
    assert [parts[30:].count(part) for part in ("train", "valid", "test")] == [7, 2, 1]


def test_what_is_given_stays_and_the_last_one_is_kept_for_training():
    assert drawn(["test", None], ["a", "a"], valid=0.5) == ["test", "train"]
    assert drawn(["test", "train", "train"], ["a", "a", "a"], valid=0.1).count("valid") == 1
