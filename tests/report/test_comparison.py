import statistics

import pytest

from seqkit.report.comparison import compare
from seqkit.report.comparison_tables import print_comparisons, titles
from seqkit.report.figures import NAMED, compared_curves
from seqkit.runs.listing import read_run
from tests.written_runs import write_run


def compared(*paths):
    return compare(map(read_run, paths))


def order(comparison):
    return [run.run.path.name for run in comparison.runs]


def test_validation_decides_the_order_in_its_direction_and_the_test_score_does_not():
    paths = [
        write_run("a/low", {1: 0.1}, test=0.9),
        write_run("a/none", {}),
        write_run("a/high", {1: 0.8, 2: 0.3}, test=0.1),
        write_run("a/going", {1: 0.4}),
    ]
    (one,) = compared(*paths)
    assert order(one) == ["high", "going", "low", "none"]
    paths = [write_run(f"b/{value}", {1: value}, monitor=("loss", "min")) for value in (0.3, 0.1, float("inf"))]
    (one,) = compared(*paths)
    assert order(one) == ["0.1", "0.3", "inf"]


def test_options_that_differ_and_no_others():
    (one,) = compared(
        write_run("a/0", {1: 0.1}, model__name="gru"),
        write_run("a/1", {1: 0.2}, model__peepholes=True, seed=2),
        write_run("a/2", {1: 0.3}, data__batch_size=16),
    )
    assert one.options == ["seed", "data.batch_size", "model"]


def test_mean_and_spread_over_seeds_of_finished_runs():
    # Sample standard deviation of 1, 2 and 4: the squares of -4/3, -1/3 and 5/3 add up to 42/9, halved 7/3.
    paths = [write_run(f"a/{seed}", {1: score}, test=score / 2, seed=seed) for seed, score in ((1, 1), (2, 2), (3, 4))]
    paths += [
        write_run("a/going", {1: 9.0}, seed=4),
        write_run("a/other", {1: 8.0}, test=1.0, model__hidden_size=5),
    ]
    (one,) = compared(*paths)
    other, seeds = one.to_json()["seeds"]
    assert seeds["options"] == {"model.hidden_size": 4}
    assert seeds["valid"] == {
        "n": 3,
        "mean": pytest.approx(7 / 3),
        "std": pytest.approx((7 / 3) ** 0.5),
        "min": 1,
        "max": 4,
    }
    assert seeds["test"]["mean"] == pytest.approx(7 / 6)
    assert len(seeds["runs"]) == 4
    assert other["valid"] == {"n": 1, "mean": 8.0, "std": None, "min": 8.0, "max": 8.0}


def test_a_repeated_seed_counts_once(capsys):
    paths = [write_run(f"a/{label}", {1: 0.5}, test=0.5, seed=seed) for label, seed in (("x", 1), ("y", 1), ("z", 2))]
    (one,) = compared(*paths)
    assert [len(group.scores) for group in one.groups] == [2]
    print_comparisons([one])
    assert "repeats a seed" in capsys.readouterr().err


def test_other_tasks_data_and_scores_are_ranked_by_themselves():
    def write(label, **changes):
        return write_run(f"a/{label}", {1: 0.5}, **{"test": 0.5, **changes})

    first = write("first")
    for label, changes in (
        ("task", {"task": "forecast"}),
        ("monitor", {"monitor": ("f1", "max")}),
        ("content", {"fingerprint": "e" * 64}),
        ("options", {"data__length": 3, "baseline": 0.6}),
        ("unfinished", {"data__length": 3, "test": None}),
    ):
        assert sorted(map(order, compared(first, write(label, **changes)))) == sorted([["first"], [label]])
    found = compared(first, write("a", data__length=3, baseline=0.6), write("b", fingerprint="e" * 64))
    assert len(set(titles(found))) == 3


def test_options_of_the_data_under_which_the_baselines_score_the_same_are_ranked_together():
    short, long = write_run("a/0", {1: 0.5}, test=0.5), write_run("a/1", {1: 0.6}, test=0.5, data__length=3)
    going = write_run("a/2", {1: 0.7}, data__length=3)
    (one,) = compared(going, short, long)
    assert order(one) == ["2", "1", "0"]
    assert one.options == ["data.length"]
    assert one.baselines == {"majority class": {"accuracy": 0.5}}


def test_tables(capsys):
    paths = [
        write_run(f"a/{size}-{seed}", {10: size / 10 + seed / 100}, test=size / 10, seed=seed, model__hidden_size=size)
        for size in (4, 8)
        for seed in (1, 2)
    ]
    print_comparisons(compared(*paths))
    assert [line.split() for line in capsys.readouterr().out.splitlines() if line.strip(" ─")] == [
        ["classify", "on", "timing:", "4", "runs", "by", "validation", "accuracy,", "higher", "is", "better"],
        ["model.", "valid.", "test."],
        ["run", "seed", "hidden_size", "accuracy", "accuracy", "steps"],
        ["8-2", "2", "8", "0.82", "0.8", "10"],
        ["8-1", "1", "8", "0.81", "0.8", "10"],
        ["4-2", "2", "4", "0.42", "0.4", "10"],
        ["4-1", "1", "4", "0.41", "0.4", "10"],
        ["majority", "class", "0.5"],
        ["over", "the", "seeds", "of", "finished", "runs"],
        ["model.", "valid.", "test."],
        ["hidden_size", "seeds", "accuracy", "min", "max", "accuracy"],
        ["8", "2", "0.815", "±", "0.0071", "0.81", "0.82", "0.8", "±", "0"],
        ["4", "2", "0.415", "±", "0.0071", "0.41", "0.42", "0.4", "±", "0"],
    ]
    assert statistics.stdev([0.81, 0.82]) == pytest.approx(0.0071, abs=5e-5)


def test_figure_names_the_best_and_says_who_is_missing():
    paths = [write_run(f"a/{size}", {1: 0.1, 2: size / 100}, model__hidden_size=size) for size in range(1, NAMED + 6)]
    paths += [
        write_run("a/none", {}, model__hidden_size=99),
        write_run("b/min", {1: 0.5, 2: 90.0}, monitor=("loss", "min")),
    ]
    figure, left_out = compared_curves(compared(*paths))
    high, low = figure.axes
    names = [text.get_text() for text in high.get_legend().get_texts()]
    assert names[0] == f"{(NAMED + 5) / 100}  model.hidden_size={NAMED + 5}"
    assert len(names) == NAMED + 1
    assert names[-1] == "5 others"
    assert len(high.lines) == NAMED + 5
    assert left_out == ["a/none"]
    assert (high.get_yscale(), low.get_yscale()) == ("linear", "log")
