import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqkit.models.backends.linear_recurrence import solve, solve_by_halves, solve_transposed

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


@pytest.mark.parametrize("states", [1, 2])
@pytest.mark.parametrize(
    ("steps", "units", "dtype"), [(1, 1, torch.float64), (66, 17, torch.float64), (64, 3, torch.float32)]
)
def test_the_kernel_finds_the_same(triton_scan, device, states, steps, units, dtype):
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(states, states, steps, units, dtype=torch.float64, generator=draw) / states
    b = torch.randn(states, steps, units, dtype=torch.float64, generator=draw)
    due = solve_by_halves(A, b)
    A[:, :, 0] = float("nan")  # that of the first step does not matter
    found = triton_scan.solve(A.to(device, dtype), b.to(device, dtype))
    torch.testing.assert_close(found.cpu().double(), due, rtol=0, atol=1e-10 if dtype == torch.float64 else 1e-3)


@pytest.mark.parametrize(("name", "dtype"), [("_scan_of_one", "fp32"), ("_scan_of_two", "fp64")])
def test_the_compiler_takes_the_kernel(gpu_code, name, dtype):
    from seqkit.models.backends import triton_scan

    steps, units = triton_scan.TILE
    arguments = dict.fromkeys(("A", "b", "s"), f"*{dtype}") | {"T": "i32", "N": "i32", "BT": steps, "BN": units}
    assert "STACK:0" in gpu_code(getattr(triton_scan, name), arguments, 4)
