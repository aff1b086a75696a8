"""The loops of the fused LSTM and GRU in operations of torch, for any device and every option.

Forwards, a step is one product and a few pointwise operations on buffers made before the loop; backwards, all that does
not depend on the gradient is computed for all steps at once before the loop. Views are made before the loop, once
each: in it they would cost as much as the arithmetic.
"""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU; g their number
# hs, cs: states of steps 0 (the initial one) to T

from collections.abc import Sequence

import torch
from torch import Tensor

from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.projections import EPSILON
from seqkit.models.regularisation import ZoneoutMask, apply_zoneout


class Product:
    """U (mask * h), then normalised if there is a gain, of every step."""

    def __init__(self, weight_GH: Tensor, gain_G: Tensor | None, mask_BH: Tensor | None, raw: Tensor | None) -> None:
        self._weight_GH, self._weight_HG = weight_GH, weight_GH.t()
        self._mask_BH, self._gain_gH = mask_BH, None
        if gain_G is not None:
            assert raw is not None
            self._raw, self._gain_gH = raw, gain_G.view(-1, weight_GH.shape[1])

    def add(self, t: int, h_BH: Tensor, out_BG: Tensor) -> None:
        """Add the product of step ``t`` to ``out_BG``."""
        if self._mask_BH is not None:
            h_BH = h_BH * self._mask_BH
        if self._gain_gH is None:
            out_BG.addmm_(h_BH, self._weight_HG)
        else:
            torch.mm(h_BH, self._weight_HG, out=self._raw[t])
            normal_BgH, _ = normalised(self._raw[t], h_BH.shape[1])
            out_BG.view_as(normal_BgH).addcmul_(normal_BgH, self._gain_gH)

    def prepare_backward(self) -> Tensor | None:
        """Allocate the gradient buffer of the pre-normalised product; return it, None without layer norm."""
        if self._gain_gH is None:
            return None
        self._normal, self._scale = normalised(self._raw, self._gain_gH.shape[1])
        self._d_raw = torch.empty_like(self._raw)
        return self._d_raw

    def back(self, t: int, d_BG: Tensor, out_BH: Tensor) -> Tensor:
        """Return the gradient of h for that of the product of step ``t``, in ``out_BH``."""
        if self._gain_gH is not None:
            normal_BgH, d_BgH = self._normal[t], d_BG.view_as(self._normal[t]) * self._gain_gH
            d_BgH = d_BgH - d_BgH.mean(-1, True) - normal_BgH * (d_BgH * normal_BgH).mean(-1, True)
            d_BG = torch.mul(d_BgH, self._scale[t], out=self._d_raw[t].view_as(d_BgH)).flatten(1)
        torch.mm(d_BG, self._weight_GH, out=out_BH)
        return out_BH if self._mask_BH is None else out_BH.mul_(self._mask_BH)


def normalised(raw: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return each gate's layer-normalised values (..., g, H) and the scale (..., g, 1)."""
    raw = raw.unflatten(-1, (-1, size))
    normal, _, scale = torch.native_layer_norm(raw, (size,), None, None, EPSILON)
    return normal, scale


class TorchLoops:
    """Loops in operations of torch; see ``Loops``."""

    language = "torch"
    description = "in torch"

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        return ""

    def lstm_forward(self, problem: LSTMProblem) -> Tensor | None:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, G = a_TBG.shape
        H = hs.shape[2]
        raw = None if gain_G is None else torch.empty_like(a_TBG)
        product = Product(weight_GH, gain_G, mask_BH, raw)
        gates_TBgH = a_TBG.view(T, B, G // H, H)
        coupled = G == 3 * H
        *_, g_TBH, o_TBH = gates_TBgH.unbind(2)
        f_TBH = gates_TBgH[:, :, -3]
        complement_BH, tanh_c = torch.empty_like(hs[0]), torch.empty_like(hs[0])
        steps = zip(
            a_TBG.unbind(0),
            gates_TBgH[:, :, :-2].unbind(0),  # input and forget gate, or the forget gate
            (gates_TBgH[:, :, 0] if not coupled else complement_BH[None].expand_as(f_TBH)).unbind(0),
            f_TBH.unbind(0),
            g_TBH.unbind(0),
            o_TBH.unbind(0),
            hs.unbind(0)[:-1],
            cs.unbind(0)[:-1],
            cs[:, :, None].unbind(0)[:-1],
            hs.unbind(0)[1:],
            cs.unbind(0)[1:],
            strict=True,
        )
        if peephole_3H is not None:
            peephole_2H, peephole_H = peephole_3H[:2], peephole_3H[2]
        for t, (a, i_and_f, i, f, g, o, h, c, c_wide, h_new, c_new) in enumerate(steps):
            product.add(t, h, a)
            if peephole_3H is not None:
                i_and_f.addcmul_(peephole_2H, c_wide)
            i_and_f.sigmoid_()
            if coupled:
                torch.sub(1, f, out=complement_BH)
            g.tanh_()
            torch.mul(f, c, out=c_new)
            c_new.addcmul_(i, g)
            if peephole_3H is not None:
                o.addcmul_(peephole_H, c_new)
            o.sigmoid_()
            torch.tanh(c_new, out=tanh_c)
            torch.mul(o, tanh_c, out=h_new)
            if zoneout_h is not None:
                h_new.copy_(apply_zoneout(zoneout_h, t, h_new, h))
            if zoneout_c is not None:
                c_new.copy_(apply_zoneout(zoneout_c, t, c_new, c))
        return raw

    def lstm_backward(
        self, problem: LSTMProblem, raw: Tensor | None, dh_TBH: Tensor | None, dc_TBH: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, G = a_TBG.shape
        H = hs.shape[2]
        c_old = cs[:-1]
        f, g, o = a_TBG.view(T, B, G // H, H)[:, :, -3:].unbind(2)
        d_TBG = torch.empty_like(a_TBG)
        d_f, d_g, d_o = d_TBG.view(T, B, G // H, H)[:, :, -3:].unbind(2)
        coupled = G == 3 * H
        i = 1 - f if coupled else a_TBG[:, :, :H]

        # For all steps: the derivative of c by each of i, f, g before its nonlinearity, and of h by o and by c.
        product = torch.mul(i, g)
        tanh_c = torch.addcmul(product, f, c_old).tanh_()
        torch.addcmul(i, product, g, value=-1, out=d_g)  # i (1 - g^2)
        if not coupled:
            d_i = d_TBG[:, :, :H]
            torch.addcmul(product, product, i, value=-1, out=d_i)  # g i (1 - i)
            torch.mul(f, c_old, out=product)
        else:
            torch.sub(c_old, g, out=product).mul_(f)
        torch.addcmul(product, product, f, value=-1, out=d_f)  # c_old f (1 - f), or (c_old - g) f (1 - f)
        torch.mul(o, tanh_c, out=product)
        torch.addcmul(product, product, o, value=-1, out=d_o)  # tanh(c) o (1 - o)
        c_to_h = torch.addcmul(o, product, tanh_c, value=-1, out=product)  # o (1 - tanh(c)^2)
        c_to_c = f
        if peephole_3H is not None:
            p_i, p_f, p_o = peephole_3H.unbind(0)
            c_to_h.addcmul_(d_o, p_o)
            c_to_c = torch.addcmul(f, d_i, p_i, out=tanh_c).addcmul_(d_f, p_f)

        # From the last step to the first: d_TBG becomes the gradient of the gates before their nonlinearity.
        recurrent = Product(weight_GH, gain_G, mask_BH, raw)
        d_raw = recurrent.prepare_backward()
        from_h, from_c = _moved(zoneout_h, T), _moved(zoneout_c, T)
        steps = list(
            zip(
                range(T),
                d_TBG.unbind(0),
                d_TBG.view(T, B, G // H, H)[:, :, :-1].unbind(0),
                d_o.unbind(0),
                c_to_h.unbind(0),
                c_to_c.unbind(0),
                [None] * T if dh_TBH is None else dh_TBH.unbind(0),
                [None] * T if dc_TBH is None else dc_TBH.unbind(0),
                strict=True,
            )
        )
        dh_BH, dc_BH = torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
        for t, d, d_ifg, d_o_t, h_by_c, c_by_c, dh_out, dc_out in reversed(steps):
            if dh_out is not None:
                dh_BH.add_(dh_out)
            if dc_out is not None:
                dc_BH.add_(dc_out)
            dh_new = dh_BH if from_h is None else dh_BH * from_h[t]
            dc_new = dc_BH if from_c is None else dc_BH * from_c[t]
            dh_kept = None if from_h is None else dh_BH - dh_new
            dc_kept = None if from_c is None else dc_BH - dc_new
            dc_new.addcmul_(dh_new, h_by_c)
            d_ifg.mul_(dc_new[:, None])
            d_o_t.mul_(dh_new)
            dc_BH = dc_new.mul_(c_by_c)
            dh_BH = recurrent.back(t, d, dh_BH)
            if dh_kept is not None:
                dh_BH.add_(dh_kept)
            if dc_kept is not None:
                dc_BH.add_(dc_kept)
        return d_TBG, d_TBG if d_raw is None else d_raw, dh_BH, dc_BH

    def gru_forward(self, problem: GRUProblem) -> tuple[Tensor, Tensor | None]:
        a_TBG, weight_GH, bias_G, gain_G, mask_BH, zoneout, hs = problem
        T, B, G = a_TBG.shape
        H = G // 3
        raw = None if gain_G is None else torch.empty_like(a_TBG)
        product = Product(weight_GH, gain_G, mask_BH, raw)
        u_TBG = bias_G.repeat(T, B, 1)
        steps = zip(
            u_TBG.unbind(0),
            u_TBG[:, :, : 2 * H].unbind(0),
            u_TBG[:, :, 2 * H :].unbind(0),
            a_TBG[:, :, : 2 * H].unbind(0),
            *(part.unbind(0) for part in a_TBG.chunk(3, dim=2)),
            hs.unbind(0)[:-1],
            hs.unbind(0)[1:],
            strict=True,
        )
        for t, (u, u_rz, u_n, rz, r, z, n, h, h_new) in enumerate(steps):
            product.add(t, h, u)
            rz.add_(u_rz).sigmoid_()
            n.addcmul_(r, u_n).tanh_()
            torch.lerp(n, h, z, out=h_new)
            if zoneout is not None:
                h_new.copy_(apply_zoneout(zoneout, t, h_new, h))
        return u_TBG[:, :, 2 * H :], raw

    def gru_backward(
        self, problem: GRUProblem, u_n_TBH: Tensor, raw: Tensor | None, dh_TBH: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, _, gain_G, mask_BH, zoneout, hs = problem
        T, B, G = a_TBG.shape
        H = G // 3
        r, z, n = a_TBG.chunk(3, dim=2)
        d_TBG, d_u = torch.empty_like(a_TBG), torch.empty_like(a_TBG)
        d_r, d_z, d_n = d_TBG.chunk(3, dim=2)

        # For all steps: the derivative of h by z and n, and of the candidate by r, before their nonlinearities.
        torch.sub(hs[:-1], n, out=d_z).mul_(z)
        d_z.addcmul_(d_z, z, value=-1)  # (h_old - n) z (1 - z)
        torch.addcmul(torch.ones_like(n), n, n, value=-1, out=d_n)
        d_n.addcmul_(d_n, z, value=-1)  # (1 - z) (1 - n^2)
        torch.addcmul(r, r, r, value=-1, out=d_r)
        d_r.mul_(u_n_TBH).mul_(d_n)  # u_n r (1 - r) by way of n

        recurrent = Product(weight_GH, gain_G, mask_BH, raw)
        d_raw = recurrent.prepare_backward()
        from_h = _moved(zoneout, T)
        steps = list(
            zip(
                range(T),
                d_TBG.view(T, B, 3, H).unbind(0),
                d_TBG[:, :, : 2 * H].unbind(0),
                d_n.unbind(0),
                d_u.unbind(0),
                d_u[:, :, : 2 * H].unbind(0),
                d_u[:, :, 2 * H :].unbind(0),
                r.unbind(0),
                z.unbind(0),
                dh_TBH.unbind(0),
                strict=True,
            )
        )
        dh_BH, buffer_BH = torch.zeros_like(hs[0]), torch.empty_like(hs[0])
        for t, d, d_rz, d_n_t, d_u_t, d_u_rz, d_u_n, r_t, z_t, dh_out in reversed(steps):
            dh_BH.add_(dh_out)
            dh_new = dh_BH if from_h is None else dh_BH * from_h[t]
            dh_kept = None if from_h is None else dh_BH - dh_new
            d.mul_(dh_new[:, None])
            d_u_rz.copy_(d_rz)
            torch.mul(d_n_t, r_t, out=d_u_n)
            dh_BH = recurrent.back(t, d_u_t, buffer_BH).addcmul_(dh_new, z_t)
            buffer_BH = dh_new
            if dh_kept is not None:
                dh_BH.add_(dh_kept)
        return d_TBG, d_u, d_u if d_raw is None else d_raw, dh_BH


def _moved(mask: ZoneoutMask, steps: int) -> Sequence[Tensor | float] | None:
    """Return the share of each step's new value that zoneout lets through, None for all of it."""
    if mask is None:
        return None
    return [1 - mask] * steps if isinstance(mask, float) else (~mask).unbind(0)
