from seqkit.report.terminal import score_table

SCORES = {
    "model": {"mse": 0.5, "mae": 0.25, **{f"mae_raw_series{n}": n / 100 for n in range(414)}},
    "training mean": {"mse": 1.0, "mae": 1.0, **{f"mae_raw_series{n}": 1.0 for n in range(414)}},
}


def test_many_metrics_fit_the_terminal_and_the_rest_is_named(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    *table, rest = score_table(SCORES, "test").splitlines()
    assert all(len(line) <= 60 for line in table)
    assert table[0].split() == ["test", "mse", "mae", "mae_raw_series0", "mae_raw_series1"]
    assert rest == "412 more columns, mae_raw_series2, ...: printed by --json"
    monkeypatch.delenv("COLUMNS")
    header, *_, last = score_table(SCORES, "test").splitlines()
    assert header.split() == ["test", *SCORES["model"]]
    assert last.startswith("training mean ")


def test_a_table_that_fits_has_every_metric(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    few = {name: {"mse": row["mse"], "mae": row["mae"]} for name, row in SCORES.items()}
    assert score_table(few, "valid").splitlines() == [
        "valid          mse  mae", "-------------  ---  ----", "model          0.5  0.25", "training mean  1    1"
    ]  # fmt: skip


def test_what_was_chosen_for_one_predictor_is_said_on_a_narrow_terminal_too(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    chosen = {"cache_theta": 0.001, "cache_weight": 0.25}
    scores = {"model": {"mse": 0.5}, "with cache": {"mse": 0.25, **chosen}, "training mean": {"mse": 1.0}}
    header, *_, last = score_table(scores, "test").splitlines()
    assert header.split() == ["test", "mse"]
    assert last == "with cache: cache_theta 0.001, cache_weight 0.25"
