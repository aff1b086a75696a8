import pytest

from seqkit.training.schedules import Plateau, constant, cosine


def test_the_warm_up_is_linear():
    factor = constant(100, "min", warmup=3)
    assert [factor(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert constant(100, "min")(0) == 1.0


def test_cosine_falls_from_one_to_the_final_factor_and_stays():
    factor = cosine(100, "min", final=0.2)
    assert [factor(step) for step in (0, 50, 100, 150)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_cosine_starts_after_the_warm_up():
    factor = cosine(110, "min", warmup=10)
    assert [factor(step) for step in (0, 10, 60, 110)] == pytest.approx([1 / 11, 1.0, 0.5, 0.0], abs=1e-12)


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_plateau_lowers_the_rate_after_its_patience(mode, sign):
    factor = Plateau(100, mode, patience=1, reduce=0.1, minimum=0.05)
    levels = []
    for score in (3, 2, 2, 1, 1, 1, 1, 1, 1, 1):
        factor.validated(sign * score)
        levels.append(factor(0))
    assert levels == [1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.05, 0.05, 0.05]


def test_the_state_of_plateau_is_in_its_attributes():
    one, other = Plateau(100, "min", patience=1), Plateau(100, "min", patience=1)
    one.validated(1.0)
    one.validated(1.0)
    vars(other).update(vars(one))
    other.validated(1.0)
    assert other(0) == 0.5
