import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqkit.models.backends.linear_recurrence import solve, solve_transposed

torch.set_num_threads(1)


def loop(A_SST, b_ST):
    s = [b_ST[:, 0]]
    for t in range(1, b_ST.shape[1]):
        s.append(torch.einsum("ijbh,jbh->ibh", A_SST[:, :, t], s[-1]) + b_ST[:, t])
    return torch.stack(s, 1)


@settings(max_examples=40, deadline=None)
@given(states=st.integers(1, 3), steps=st.integers(1, 70), seed=st.integers(0, 99))
def test_both_are_those_of_a_loop(states, steps, seed):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(states, states, steps, 2, 3, dtype=torch.float64, generator=draw) / states
    b, d = torch.randn(2, states, steps, 2, 3, dtype=torch.float64, generator=draw).requires_grad_()
    due = loop(A, b)
    torch.testing.assert_close(solve(A, b), due, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solve_transposed(A, d), *torch.autograd.grad(due, b, d), rtol=1e-9, atol=1e-9)


def test_a_product_beyond_the_range_of_numbers_does_not_reach_a_gradient():
    A = torch.full((1, 1, 300, 1, 1), 10.0)
    d = torch.zeros(1, 300, 1, 1)
    d[:, 5] = 1
    assert solve(A, d).isnan().any()
    g = solve_transposed(A, d)
    assert g[0, :6, 0, 0].tolist() == pytest.approx([1e5, 1e4, 1e3, 100, 10, 1])
    assert not g[:, 6:].any()
