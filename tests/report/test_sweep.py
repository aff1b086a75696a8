import math

from seqkit.report.sweep import sweep_tables


def report(number, overrides, valid=None, direction="max", baselines=(("guess", 0.5),), **test):
    return {
        "overrides": overrides,
        "monitor": ["accuracy", direction],
        "valid": {"accuracy": valid, "loss": 9.0},
        "test": test,
        "baselines": {name: {"accuracy": value} for name, value in baselines},
        "training_seconds": 9.6,
        "run": f"runs/timing/s-{number}",
    }


def sweep_table(reports):
    return "\n\n".join(table.text("in table.md") for table in sweep_tables(reports))


def test_sweep_table_shows_each_job_by_the_score_that_decides_and_the_naive_scores():
    jobs = [
        report(0, ["model=lstm", "data=timing"], 0.5, accuracy=1.0),
        report(1, ["model=elman", "data=timing"], math.nan, accuracy=0.25),
        report(2, ["model=gru", "data=timing"], 0.75, accuracy=0.75),
    ]
    assert sweep_table(jobs).splitlines() == [
        "run    valid.accuracy  model  test.accuracy  trained",
        "-----  --------------  -----  -------------  -------",
        "s-2    0.75            gru    0.75           10 s",
        "s-0    0.5             lstm   1              10 s",
        "s-1    nan             elman  0.25           10 s",
        "guess                         0.5",
    ]


def test_sweep_table_of_several_tasks_stays_in_the_order_of_the_jobs():
    jobs = [report(0, ["data=a"], 0.5), {**report(1, ["data=b"], 0.75), "monitor": ["loss", "min"]}]
    assert [line.split() for line in sweep_table(jobs).splitlines()][:1] == [
        ["run", "valid.accuracy", "valid.loss", "data", "trained"]
    ]
    assert [line.split()[0] for line in sweep_table(jobs).splitlines()[2:]] == ["s-0", "s-1", "guess"]


def test_sweep_table_adds_mean_and_standard_deviation_over_seeds():
    # Of 0.5, 0.75 and 1 the mean is 0.75 and the sample standard deviation 0.25; of 1 and 2, 1.5 and 1 / sqrt(2).
    jobs = [
        report(0, ["model=lstm", "seed=1"], 0.5, accuracy=0.5, loss=1.0),
        report(1, ["model=lstm", "seed=2"], 0.75, accuracy=0.75),
        report(2, ["model=lstm", "seed=3"], 1.0, accuracy=1.0, loss=2.0),
        report(3, ["model=gru", "seed=1"], 0.875, accuracy=0.25),
    ]
    assert sweep_table(jobs).splitlines() == [
        "run    valid.accuracy  model  seed  test.accuracy  test.loss  trained",
        "-----  --------------  -----  ----  -------------  ---------  -------",
        "s-2    1               lstm   3     1              2          10 s",
        "s-3    0.875           gru    1     0.25           -          10 s",
        "s-1    0.75            lstm   2     0.75           -          10 s",
        "s-0    0.5             lstm   1     0.5            1          10 s",
        "guess                               0.5",
        "",
        "mean ± standard deviation over seeds",
        "valid.accuracy  model  seeds  test.accuracy  test.loss",
        "--------------  -----  -----  -------------  ----------",
        "0.875           gru    1      0.25           -",
        "0.75 ± 0.25     lstm   3      0.75 ± 0.25    1.5 ± 0.71",
    ]


def test_sweep_table_over_seeds_alone():
    jobs = [report(n, [f"seed={n}"], accuracy=float("inf") if n else 1.0) for n in range(2)]
    assert sweep_table(jobs).splitlines()[-4:] == [
        "mean ± standard deviation over seeds",
        "seeds  test.accuracy",
        "-----  -------------",
        "2      inf",
    ]


def test_sweep_table_as_a_file_has_the_numbers_of_the_terminal():
    (table,) = sweep_tables([report(0, ["a=1|2"], 0.5, accuracy=2 / 3), report(1, ["a=3,4"], 0.25, accuracy=1.0)])
    assert table.csv().splitlines() == [
        "run,valid.accuracy,a,test.accuracy,trained", "s-0,0.5,1|2,0.6667,10 s", 's-1,0.25,"3,4",1,10 s', "guess,,,0.5,",
    ]  # fmt: skip
    assert table.markdown().splitlines() == [
        "| run | valid.accuracy | a | test.accuracy | trained |",
        "| --- | --- | --- | --- | --- |",
        "| s-0 | 0.5 | 1\\|2 | 0.6667 | 10 s |",
        "| s-1 | 0.25 | 3,4 | 1 | 10 s |",
        "| guess |  |  | 0.5 |  |",
    ]


def test_the_run_and_the_score_that_decides_stand_on_any_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    jobs = [report(n, [f"data.targets={'x' * 99}{n}", f"seed={n}"], n / 2, accuracy=1.0) for n in range(2)]
    each, over_seeds = sweep_table(jobs).split("\n\n")
    assert each.splitlines()[2].split() == ["s-1", "0.5"]
    assert over_seeds.splitlines()[1].split()[0] == "valid.accuracy"
