"""The Triton kernels that run all steps at once against torch's autograd on the plain equations, in float32 and 64."""

import importlib

import pytest
import torch
from torch import Tensor

# steps, rows, hidden units, dtype, whether the hidden state is masked
SIZES = [(4, 2, 5, torch.float64, True), (1, 1, 1, torch.float64, False), (3, 1, 8, torch.float32, False)]


def draw(*shape: int, device, dtype) -> Tensor:
    return (0.7 * torch.randn(shape, dtype=torch.float64)).to(device, dtype)


def same(got, expected) -> None:
    tight = expected[0].dtype == torch.float64
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13 if tight else 1e-5)


def plain_lstm(a_TBG, weight, p, mask, h, c):
    hs, cs = [], []
    for x in a_TBG:
        a = x + (h * mask) @ weight.t()
        if a.shape[1] == 3 * h.shape[1]:
            f, g, o = a.chunk(3, dim=1)
            f = torch.sigmoid(f)
            i = 1 - f
        else:
            i, f, g, o = a.chunk(4, dim=1)
            if p is not None:
                i, f = i + p[0] * c, f + p[1] * c
            i, f = torch.sigmoid(i), torch.sigmoid(f)
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(o if p is None else o + p[2] * c)
        h = o * torch.tanh(c)
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


def plain_gru(x_TBG, u_of, h):
    hs = []
    for x in x_TBG:
        u = u_of(h)
        r, z = torch.sigmoid(x + u).chunk(3, dim=1)[:2]
        n = torch.tanh(x.chunk(3, dim=1)[2] + r * u.chunk(3, dim=1)[2])
        h = (1 - z) * n + z * h
        hs.append(h)
    return torch.stack(hs)


@pytest.mark.parametrize(("T", "B", "H", "dtype", "masked"), SIZES)
@pytest.mark.parametrize("form", ["plain", "peephole", "coupled"])
def test_lstm(triton_persistent, device, form, T, B, H, dtype, masked):
    torch.manual_seed(0)
    kind = {"device": device, "dtype": dtype}
    G = (3 if form == "coupled" else 4) * H
    a, weight, h, c = draw(T, B, G, **kind), draw(G, H, **kind), draw(B, H, **kind), draw(B, H, **kind)
    p = draw(3, H, **kind) if form == "peephole" else None
    leaves = [a.clone().requires_grad_(), h.requires_grad_(), c.requires_grad_()]
    mask = draw(B, H, **kind) if masked else None
    expected = plain_lstm(leaves[0], weight, p, 1 if mask is None else mask, *leaves[1:])
    hs, cs = torch.full((2, T + 1, B, H), float("nan"), **kind)
    hs[0], cs[0] = h.detach(), c.detach()
    triton_persistent.lstm_forward(a, weight, p, mask, hs, cs)
    same([hs[1:], cs[1:]], [part.detach() for part in expected])

    dhs, dcs = draw(T, B, H, **kind), draw(T, B, H, **kind)
    for given in [(dhs, dcs), (dhs, None), (None, dcs)]:
        terms = [(part * d).sum() for part, d in zip(expected, given, strict=True) if d is not None]
        wanted = torch.autograd.grad(sum(terms), leaves, retain_graph=True)
        got = [torch.full_like(leaf, float("nan")) for leaf in leaves]
        triton_persistent.lstm_backward(a, weight, p, mask, cs, *given, *got)
        same(got, list(wanted))


@pytest.mark.parametrize(("T", "B", "H", "dtype", "masked"), SIZES)
def test_gru(triton_persistent, device, T, B, H, dtype, masked):
    torch.manual_seed(0)
    kind = {"device": device, "dtype": dtype}
    x, weight, bias, h = (draw(*shape, **kind) for shape in [(T, B, 3 * H), (3 * H, H), (3 * H,), (B, H)])
    mask = draw(B, H, **kind) if masked else None
    recurrent = []

    def u_of(h):
        recurrent.append((h if mask is None else h * mask) @ weight.t() + bias)
        recurrent[-1].requires_grad_().retain_grad()
        return recurrent[-1]

    leaves = [x.clone().requires_grad_(), h.requires_grad_()]
    expected = plain_gru(leaves[0], u_of, leaves[1])
    hs, u_n = torch.full((T + 1, B, H), float("nan"), **kind), torch.full((T, B, H), float("nan"), **kind)
    hs[0] = h.detach()
    triton_persistent.gru_forward(x, weight, bias, mask, hs, u_n)
    same([hs[1:]], [expected.detach()])

    dhs = draw(T, B, H, **kind)
    expected.backward(dhs)
    dx, du, dh = (torch.full(shape, float("nan"), **kind) for shape in [(T, B, 3 * H), (T, B, 3 * H), (B, H)])
    triton_persistent.gru_backward(x, weight, mask, hs, u_n, dhs, dx, du, dh)
    same([dx, du, dh], [leaves[0].grad, torch.stack([u.grad for u in recurrent]), leaves[1].grad])


def test_fits(triton_persistent):
    fits = triton_persistent.fits
    assert [fits(H, torch.float32) for H in (1, 64, 65)] == [True, True, False]
    assert [fits(H, torch.float64) for H in (1, 32, 33)] == [True, True, False]
    assert not fits(8, torch.bfloat16)


@pytest.mark.parametrize(
    ("H", "dtype", "names"),
    [
        (64, torch.float32, ["_lstm_forward", "_lstm_backward", "_gru_forward", "_gru_backward"]),
        (32, torch.float32, ["_lstm_backward"]),  # the one that takes most registers
        (32, torch.float64, ["_lstm_backward"]),
    ],
    ids=["64", "32", "32 in float64"],
)
def test_the_largest_weights_that_fit_stay_in_registers(gpu_code, H, dtype, names):
    kernels = importlib.import_module("seqkit.models.backends.fused.triton_persistent")
    buffers = [
        "a",
        "weight",
        "peephole",
        "mask",
        "h",
        "c",
        "dh_out",
        "dc_out",
        "d",
        "dh",
        "dc",
        "x",
        "bias",
        "u_n",
        "dx",
        "du",
    ]
    arguments = {f"{buffer}_ptr": "*fp64" if dtype == torch.float64 else "*fp32" for buffer in buffers}
    arguments |= {"T": "i32", "B": "i32", "H": "i32", "COUPLED": False, "BLOCK": H}
    for name in names:
        assert "STACK:0" in gpu_code(getattr(kernels, name), arguments, kernels._warps(H, dtype))
