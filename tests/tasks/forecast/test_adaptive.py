import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames import long
from seqkit.inputs.frames.tables import read_table
from seqkit.tasks.forecast import conformal
from seqkit.tasks.forecast.adaptive import RATES, Adaptive, interpolated
from seqkit.tasks.forecast.conformal import best_rate
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

LEVELS = (0.05, 0.5, 0.95)
NORMAL = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))


def windows(count, horizon=4, scale=1.0, seed=0):
    """Return the quantiles of a standard normal distribution, and targets that have another deviation."""
    draw = torch.Generator().manual_seed(seed)
    targets_NFC = scale * torch.randn(count, horizon, 1, generator=draw, dtype=torch.float64)
    return NORMAL.expand(count, horizon, 1, 3), targets_NFC


def coverage(quantiles_NFCQ, targets_NFC):
    return float(((quantiles_NFCQ[..., 0] <= targets_NFC) & (targets_NFC <= quantiles_NFCQ[..., -1])).double().mean())


@pytest.mark.parametrize("scale", [0.4, 1.6])
def test_intervals_that_are_too_wide_or_too_narrow_come_to_cover_what_they_say(scale):
    quantiles_NFCQ, targets_NFC = windows(4000, scale=scale)
    assert abs(coverage(quantiles_NFCQ, targets_NFC) - 0.9) > 0.09
    adapted_NFCQ = Adaptive(0.01, LEVELS, 4).walk(quantiles_NFCQ, targets_NFC)
    assert coverage(adapted_NFCQ[2000:], targets_NFC[2000:]) == pytest.approx(0.9, abs=0.015)


def test_the_rule_of_gibbs_and_candes_step_by_step():
    quantiles_NFCQ, targets_NFC = windows(20, horizon=3)
    found_NFCQ = Adaptive(0.1, LEVELS, 3).walk(quantiles_NFCQ, targets_NFC)
    levels_Q = torch.tensor(LEVELS, dtype=torch.float64)
    moved_NQ = [levels_Q]
    for number in range(20):  # an error counts three windows later
        move_Q = torch.zeros(3, dtype=torch.float64)
        if number >= 3:
            below_Q = (targets_NFC[number - 3] <= found_NFCQ[number - 3, :, 0]).double().mean(0)
            move_Q = 0.1 * (levels_Q - below_Q)
        moved_NQ.append(moved_NQ[-1] + move_Q)
    expected_NQ = torch.special.ndtri(torch.stack(moved_NQ[1:]).clamp(0.001, 0.999))  # of a normal distribution
    torch.testing.assert_close(found_NFCQ, expected_NQ.sort(-1).values[:, None, None].expand(20, 3, 1, 3))
    assert not torch.equal(found_NFCQ[3], found_NFCQ[2])


def test_a_window_is_not_changed_by_its_own_rows_nor_by_rows_not_seen_yet():
    quantiles_NFCQ, targets_NFC = windows(30)
    others_NFC = targets_NFC.clone()
    others_NFC[20:] = 100.0  # window 24 is the first that starts after a row of window 20 has been seen whole
    found, other = (Adaptive(0.05, LEVELS, 4).walk(quantiles_NFCQ, one) for one in (targets_NFC, others_NFC))
    assert torch.equal(found[:24], other[:24])
    assert not torch.equal(found[24], other[24])


@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_batches_of_any_size_give_the_same_to_the_bit_each_series_by_itself(size):
    quantiles_NFCQ, targets_NFC = windows(60, scale=2.0)
    series_N = torch.tensor([0] * 35 + [1] * 25)
    whole = [Adaptive(0.02, LEVELS, 4).walk(quantiles_NFCQ[series_N == s], targets_NFC[series_N == s]) for s in (0, 1)]
    adaptive, found = Adaptive(0.02, LEVELS, 4), []
    for start in range(0, 60, size):
        rows = slice(start, start + size)
        prediction = SeriesPrediction(quantiles_NFCQ[rows][..., 1], quantiles_NFCQ[rows], LEVELS)
        batch = Batch(
            torch.zeros(len(series_N[rows]), 1, 1), targets=targets_NFC[rows], extras={"series": series_N[rows]}
        )
        found.append(adaptive(prediction, batch).quantiles_BFCQ)
    assert torch.equal(torch.cat(found), torch.cat(whole))


@pytest.mark.parametrize(("horizon", "stride", "delay"), [(24, 24, 1), (24, 5, 5), (24, 1, 24), (3, 24, 1)])
def test_a_truth_counts_as_soon_as_its_rows_have_been_seen_whatever_the_stride(horizon, stride, delay):
    series = Series(horizon, ("x",), (0.0,), (1.0,), levels=LEVELS, shifts=(((0.0,) * 3,),), rate=0.1, stride=stride)
    trained = replace(series, stride=7)  # the windows asked for decide
    quantiles_NFCQ, targets_NFC = windows(30, horizon, scale=3.0)
    found_NFCQ = trained.over_time(DataSpec(None, series)).walk(quantiles_NFCQ, targets_NFC)
    moved = (found_NFCQ != found_NFCQ[0]).flatten(1).any(1)
    assert int(moved.nonzero()[0]) == delay
    assert delay * stride >= horizon > (delay - 1) * stride


def test_levels_between_and_beyond_those_given_follow_the_normal_distribution():
    wanted = torch.tensor([0.01, 0.2, 0.99], dtype=torch.float64)
    found = interpolated(2 + 3 * NORMAL.expand(1, 1, 1, 3), torch.tensor(LEVELS, dtype=torch.float64), wanted)
    torch.testing.assert_close(found.flatten(), 2 + 3 * torch.special.ndtri(wanted))


def test_the_rate_is_the_best_of_the_validation_part():
    def chosen(scale):
        """Return the rate for values of which the second half has another deviation."""
        base_NFCQ, targets_NFC = windows(1200, scale=1.0)
        targets_NFC[600:] *= scale
        ones = torch.ones(1200, 1, 1, 1)
        return best_rate(LEVELS, base_NFCQ[..., 1:2].float(), targets_NFC.float(), ones, torch.zeros(1200), 4)

    assert chosen(1.0) in RATES[:2]
    assert chosen(0.3) == RATES[-1]


SEA = [
    "experiment=sea_temperature", "data.lookback=48", "data.horizon=4", "data.split=[300,60,130]", "id=x",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=2", "head=quantile_forecast",
    "trainer.dry_run=false",
]  # fmt: skip


def test_a_run_keeps_its_rate_and_is_scored_in_the_order_of_time_at_any_batch_size(monkeypatch):
    monkeypatch.setattr(conformal, "RATES", (0.02,))
    report = seqkit.train([*SEA, "head.adaptive=true"])
    trained = seqkit.load(report["run"], "cpu")
    assert trained.spec.task.rate == 0.02
    expected = {"model": report["test"], **report["baselines"]}
    assert trained.evaluate("test", 1) == trained.evaluate("test", 64) == expected
    still = replace(trained.spec, task=replace(trained.spec.task, rate=0.0))
    unadapted = replace(trained, spec=still).evaluate("test")
    for name in ("model", "linear"):
        assert unadapted[name]["coverage_90"] != expected[name]["coverage_90"]
        assert unadapted[name]["mse"] == expected[name]["mse"]


def test_a_rate_may_be_given(monkeypatch):
    monkeypatch.setattr(conformal, "RATES", (0.02,))
    assert seqkit.load(seqkit.train([*SEA, "head.adaptive=0.003"])["run"]).spec.task.rate == 0.003
    for value in ("1", "0", "-0.1", "yes please"):
        with pytest.raises(ConfigError, match=f"head.adaptive={value}: input should be a valid boolean or"):
            seqkit.train([*SEA, f"head.adaptive={value}"])


@pytest.mark.parametrize("stride", [1, 2])
def test_a_forecast_starts_from_what_the_rows_before_would_have_missed(monkeypatch, caplog, stride):
    monkeypatch.setattr(conformal, "RATES", (0.02,))
    rows = [
        f"2024-01-{1 + h // 24:02d} {h % 24:02d}:00,{math.sin(h / 3.8) * (1 if h < 150 else 9):.4f}" for h in range(240)
    ]
    Path("t.csv").write_text("\n".join(["date,load", *rows]) + "\n")  # far wilder at its end
    report = seqkit.train(
        [
            "experiment=forecast", "data.path=t.csv", "data.time_column=date", "data.lookback=8", "data.horizon=3",
            "data.split=[100,40,100]", "frontend.patch=1", "model.hidden_size=4", "trainer.accelerator=cpu", "id=x",
            "trainer.max_steps=2", "head=quantile_forecast", "head.adaptive=true", "trainer.dry_run=false",
            f"data.eval_stride={stride}",
        ]
    )  # fmt: skip
    trained = seqkit.load(report["run"], "cpu")
    reads = []
    monkeypatch.setattr(long, "read_table", lambda *given: reads.append(given[0].name) or read_table(*given))
    answer = trained.forecast().answers[0]
    assert reads == ["t.csv"]
    still = replace(trained, spec=replace(trained.spec, task=replace(trained.spec.task, rate=0.0)))
    plain_FQ = torch.tensor(still.forecast().answers[0]["quantiles"])[:, 0].double()
    found_FQ = torch.tensor(answer["quantiles"])[:, 0].double()
    assert (found_FQ[:, -1] - found_FQ[:, 0] > (1.2 if stride == 1 else 1) * (plain_FQ[:, -1] - plain_FQ[:, 0])).all()

    # The same walk by hand: every window whose rows have all been seen, then the levels after all of them.
    lines = Path("t.csv").read_text().splitlines()
    holed = [*lines[:20], lines[20].split(",")[0] + ",", *lines[21:]]
    Path("holed.csv").write_text("\n".join(holed) + "\n")  # long before the rows that are read
    assert trained.forecast("holed.csv").answers == still.forecast("holed.csv").answers == still.forecast().answers
    assert "intervals are not adapted" in caplog.text
    assert "holed.csv, line 21, column 'load': no value" in caplog.text

    data = trained.data()
    values = torch.cat([data.part("train").values_RI])
    adaptive = trained.spec.task.over_time(trained.spec)
    windows = [(values[s - 8 : s], values[s : s + 3]) for s in range(8, 238 if stride == 1 else 237, stride)]
    inputs, targets = (torch.stack(part) for part in zip(*windows, strict=True))
    with torch.no_grad():
        outputs, lengths, _ = trained.network(Batch(inputs))
        prediction = trained.network.head.predict(outputs, lengths, Batch(inputs))
    adaptive.walk(prediction.quantiles_BFCQ.double(), targets.double())
    levels_Q = (adaptive._moved[0] + adaptive._pending[0].sum(0))[0]
    expected_FQ = interpolated(plain_FQ[None, :, None], adaptive.levels_Q, levels_Q)[0, :, 0]
    torch.testing.assert_close(found_FQ, expected_FQ, rtol=1e-4, atol=1e-4)
