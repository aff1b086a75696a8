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
    names = ", ".join(f"mae_raw_series{n}" for n in range(2, 8))
    assert rest == f"412 more columns, {names}, ...: printed by --json"
    monkeypatch.delenv("COLUMNS")
    assert score_table(SCORES, "test").splitlines()[-1].startswith("392 more columns, mae_raw_series22, ")


def test_a_table_that_fits_has_every_metric(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    few = {name: {"mse": row["mse"], "mae": row["mae"]} for name, row in SCORES.items()}
    assert score_table(few, "valid").splitlines() == [
        "valid          mse  mae", "-------------  ---  ----", "model          0.5  0.25", "training mean  1    1"
    ]  # fmt: skip
