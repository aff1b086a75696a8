"""One step of each Triton kernel against torch's autograd on the plain equations, in float64 and float32."""

import importlib
import itertools

import pytest
import torch
from torch import Tensor

FORMS = "plain", "peephole", "coupled"
KEEPS = "none", "rate", "mask"
EDGES = [(1, 1, torch.float32), (2, 300, torch.float64)]  # rows, hidden units: one; more than a block of them

LSTM = [(*flags, 2, 5, torch.float64) for flags in itertools.product(FORMS, KEEPS, KEEPS)]
LSTM += [(form, "mask", "rate", *edge) for form, edge in itertools.product(FORMS, EDGES)]
GRU = [(keep, 2, 5, torch.float64) for keep in KEEPS] + [("mask", *edge) for edge in EDGES]


def draw(*shape: int, device, dtype) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(device, dtype)


def zoneout(kind, B: int, H: int, device):
    return {"none": None, "rate": 0.3, "mask": (torch.rand(B, H) < 0.5).to(device)}[kind]


def zoned(old: Tensor, new: Tensor, keep) -> Tensor:
    return new if keep is None else new + keep * (old - new)


def wide(x: Tensor) -> Tensor:
    """Return the same values as a part of longer rows."""
    buffer = x.new_full((len(x), x.shape[1] + 3), float("nan"))
    part = buffer[:, : x.shape[1]]
    part.copy_(x)
    return part


def same(got, expected) -> None:
    tight = expected[0].dtype == torch.float64
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13 if tight else 1e-5)


def plain_lstm(a, h, c, p, zoneout_h, zoneout_c):
    if a.shape[1] == 3 * h.shape[1]:
        f, g, o = a.chunk(3, dim=1)
        f = torch.sigmoid(f)
        i = 1 - f
    else:
        i, f, g, o = a.chunk(4, dim=1)
        if p is not None:
            i, f = i + p[0] * c, f + p[1] * c
        i, f = torch.sigmoid(i), torch.sigmoid(f)
    c_new = f * c + i * torch.tanh(g)
    o = torch.sigmoid(o if p is None else o + p[2] * c_new)
    return zoned(h, o * torch.tanh(c_new), zoneout_h), zoned(c, c_new, zoneout_c)


def plain_gru(x, u, h, zoneout_h):
    r, z = torch.sigmoid(x + u).chunk(3, dim=1)[:2]
    n = torch.tanh(x.chunk(3, dim=1)[2] + r * u.chunk(3, dim=1)[2])
    return zoned(h, (1 - z) * n + z * h, zoneout_h)


@pytest.mark.parametrize(("form", "zoneout_h", "zoneout_c", "B", "H", "dtype"), LSTM)
def test_lstm_step(triton_steps, device, form, zoneout_h, zoneout_c, B, H, dtype):
    torch.manual_seed(0)
    kind = {"device": device, "dtype": dtype}
    a, h, c, dh, dc = (draw(B, n, **kind) for n in ((3 if form == "coupled" else 4) * H, H, H, H, H))
    p = draw(3, H, **kind) if form == "peephole" else None
    keep = zoneout(zoneout_h, B, H, device), zoneout(zoneout_c, B, H, device)
    leaves = [a.clone().requires_grad_(), h.clone().requires_grad_(), c.clone().requires_grad_()]
    after = plain_lstm(*leaves, p, *keep)
    d_a, d_h, d_c = torch.autograd.grad(after, leaves, (dh, dc), materialize_grads=True)  # h only matters to zoneout

    h, c, h_new, c_new = wide(h), wide(c), wide(torch.zeros_like(h)), wide(torch.zeros_like(c))
    triton_steps.lstm_forward(a, h, c, p, *keep, h_new, c_new)
    same([h_new, c_new], [part.detach() for part in after])
    d = torch.empty_like(a)
    triton_steps.lstm_backward(a, c, p, *keep, dh, dc, d)
    same([d, dh, dc], [d_a, d_h, d_c])


@pytest.mark.parametrize(("zoneout_h", "B", "H", "dtype"), GRU)
def test_gru_step(triton_steps, device, zoneout_h, B, H, dtype):
    torch.manual_seed(0)
    kind = {"device": device, "dtype": dtype}
    x, u, h, dh = (draw(B, n, **kind) for n in (3 * H, 3 * H, H, H))
    keep = zoneout(zoneout_h, B, H, device)
    leaves = [x.clone().requires_grad_(), u.clone().requires_grad_(), h.clone().requires_grad_()]
    after = plain_gru(*leaves, keep)
    d_x, d_u, d_h = torch.autograd.grad(after, leaves, dh)

    h, h_new = wide(h), wide(torch.zeros_like(h))
    u_n = torch.empty_like(dh)
    triton_steps.gru_forward(x, u, h, keep, u_n, h_new)
    same([h_new, u_n], [after.detach(), u[:, 2 * H :]])
    dx, du = torch.empty_like(x), torch.empty_like(u)
    triton_steps.gru_backward(x, u_n, h, keep, dh, dx, du)
    same([dx, du, dh], [d_x, d_u, d_h])


def test_zoneout_keeps_a_state_exactly(triton_steps, device):
    h, c = (torch.rand(2, 3, device=device) / 3 for _ in range(2))
    keep = torch.ones(2, 3, dtype=torch.bool, device=device)
    h_new, c_new = torch.empty_like(h), torch.empty_like(c)
    triton_steps.lstm_forward(torch.randn(2, 12, device=device), h, c, None, keep, keep, h_new, c_new)
    assert torch.equal(h_new, h)
    assert torch.equal(c_new, c)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # to infinity, which is fine
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_nonlinearities_keep_their_digits_near_0_and_never_overflow(triton_steps, device, dtype):
    x = torch.tensor([0, 1e-30, 1e-8, 1e-3, 0.1, 0.2499, 0.2501, 1, 9, 40, 300, 1e30, float("inf")], dtype=dtype)
    x = torch.cat([x, -x]).to(device)[None]
    # Of a GRU with closed reset and update gates the new state is the tanh of the input.
    H = x.shape[1]
    closed = torch.full((1, 2 * H), -1e30, dtype=dtype, device=device)
    h_new, zero = torch.empty_like(x), torch.zeros_like(x)
    gates = torch.cat([closed, x], dim=1)
    triton_steps.gru_forward(gates, torch.zeros_like(gates), zero, None, torch.empty_like(x), h_new)
    few = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(h_new, torch.tanh(x), rtol=few, atol=0)
    gates = torch.cat([x, x, zero], dim=1)
    triton_steps.gru_forward(gates, torch.zeros_like(gates), zero, None, torch.empty_like(x), h_new)
    # A GPU's exp is as exact as its argument in units of log 2: 40 units of the last digit at -40.
    torch.testing.assert_close(gates[:, :H], torch.sigmoid(x), rtol=5 * few, atol=torch.finfo(dtype).tiny)


@pytest.mark.parametrize("coupled", [False, True])
def test_the_compiler_takes_what_the_interpreter_does(gpu_code, coupled):
    kernels = importlib.import_module("seqkit.models.backends.fused.triton_steps")
    buffers = ["a", "h", "c", "h_new", "c_new", "dh", "dc", "d", "x", "u", "u_n", "dx", "du"]
    arguments = {f"{name}_ptr": "*fp64" if coupled else "*fp32" for name in buffers}
    arguments |= dict.fromkeys(("h_stride", "c_stride", "h_new_stride", "c_new_stride", "H"), "i32")
    masks = None if coupled else "*i1"
    arguments |= {"mask_h_ptr": masks, "mask_c_ptr": masks, "mask_ptr": masks}
    arguments |= {"rate_h": 0.1, "rate_c": 0.1, "rate": 0.1, "BLOCK": 256, "COUPLED": coupled}
    arguments |= {"peephole_ptr": None if coupled else "*fp32"}
    for kernel in (kernels._lstm_forward, kernels._lstm_backward, kernels._gru_forward, kernels._gru_backward):
        assert "STACK:0 SHARED:0" in gpu_code(kernel, arguments, 4)
