from seqkit.report.sweep import sweep_tables


def report(number, overrides, baselines=(("guess", 0.5),), **test):
    return {
        "overrides": overrides,
        "test": test,
        "baselines": {name: {"accuracy": value} for name, value in baselines},
        "training_seconds": 9.6,
        "run": f"runs/timing/s-{number}",
    }


def sweep_table(reports):
    return "\n\n".join(table.text() for table in sweep_tables(reports))


def test_sweep_table_shows_each_job_and_the_naive_scores():
    jobs = [
        report(0, ["model=lstm", "data=timing"], accuracy=0.75),
        report(1, ["model=gru", "data=timing"], accuracy=1.0),
    ]
    assert sweep_table(jobs).splitlines() == [
        "model  accuracy  trained  run",
        "-----  --------  -------  ---",
        "lstm   0.75      10 s     s-0",
        "gru    1         10 s     s-1",
        "guess  0.5",
    ]


def test_sweep_table_adds_mean_and_standard_deviation_over_seeds():
    # Of 0.5, 0.75 and 1 the mean is 0.75 and the sample standard deviation 0.25; of 1 and 2, 1.5 and 1 / sqrt(2).
    jobs = [
        report(0, ["model=lstm", "seed=1"], accuracy=0.5, loss=1.0),
        report(1, ["model=lstm", "seed=2"], accuracy=0.75),
        report(2, ["model=lstm", "seed=3"], accuracy=1.0, loss=2.0),
        report(3, ["model=gru", "seed=1"], accuracy=0.25),
    ]
    assert sweep_table(jobs).splitlines() == [
        "model  seed  accuracy  loss  trained  run",
        "-----  ----  --------  ----  -------  ---",
        "lstm   1     0.5       1     10 s     s-0",
        "lstm   2     0.75      -     10 s     s-1",
        "lstm   3     1         2     10 s     s-2",
        "gru    1     0.25      -     10 s     s-3",
        "guess        0.5       -",
        "",
        "mean +- standard deviation over seeds",
        "model  seeds  accuracy      loss",
        "-----  -----  ------------  -------------",
        "lstm   3      0.75 +- 0.25  1.5 +- 0.7071",
        "gru    1      0.25          -",
    ]


def test_sweep_table_over_seeds_alone():
    jobs = [report(n, [f"seed={n}"], accuracy=float("inf") if n else 1.0) for n in range(2)]
    assert sweep_table(jobs).splitlines()[-4:] == [
        "mean +- standard deviation over seeds",
        "seeds  accuracy",
        "-----  ----------",
        "2      inf +- nan",
    ]


def test_sweep_table_as_a_file_has_the_numbers_of_the_terminal():
    (table,) = sweep_tables([report(0, ["a=1|2"], accuracy=2 / 3), report(1, ["a=3,4"], accuracy=1.0)])
    assert table.csv().splitlines() == [
        "a,accuracy,trained,run", "1|2,0.6667,10 s,s-0", '"3,4",1,10 s,s-1', "guess,0.5,,",
    ]  # fmt: skip
    assert table.markdown().splitlines() == [
        "| a | accuracy | trained | run |",
        "| --- | --- | --- | --- |",
        "| 1\\|2 | 0.6667 | 10 s | s-0 |",
        "| 3,4 | 1 | 10 s | s-1 |",
        "| guess | 0.5 |  |  |",
    ]
