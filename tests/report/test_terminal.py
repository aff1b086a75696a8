from seqkit.report.terminal import score_table

SCORES = {
    "model": {"mse": 0.5, "mae": 0.25, **{f"mae_raw_series{n}": n / 100 for n in range(414)}},
    "training mean": {"mse": 1.0, "mae": 1.0, **{f"mae_raw_series{n}": 1.0 for n in range(414)}},
}


def test_many_metrics_fit_the_terminal_and_the_rest_is_summed_up(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    *table, rest = score_table(SCORES, "test").splitlines()
    assert all(len(line) <= 60 for line in table)
    shown = [name for line in table if line.startswith("test") for name in line.split()[1:]]
    assert shown == ["mse", "mae", *(f"mae_raw_series{n}" for n in range(22))]
    assert rest == (
        "392 more metrics of model, from 0.22 (mae_raw_series22) to 4.13 (mae_raw_series413); --json prints all"
    )


def test_a_table_that_fits_has_every_metric(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    few = {name: {"mse": row["mse"], "mae": row["mae"]} for name, row in SCORES.items()}
    assert score_table(few, "valid").splitlines() == [
        "valid          mse  mae", "-------------  ---  ----", "model          0.5  0.25", "training mean  1    1"
    ]  # fmt: skip
