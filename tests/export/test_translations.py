"""Operations that torch's ONNX exporter translates inexactly, at values where that shows."""

import pytest
import torch
from torch import Tensor, nn

from seqkit.export.onnx import run_onnx, to_onnx
from seqkit.export.program import capture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Operations(nn.Module):
    def forward(self, x_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, ...]:
        x_BTH = torch.stack((x_BT, 2 * x_BT.flip(1)), 2)
        sums = (x_BTH.logcumsumexp(1), x_BTH.double().logcumsumexp(1), x_BTH.logcumsumexp(-1))
        return (*sums, nn.functional.logsigmoid(x_BT), torch.logaddexp(x_BT, x_BT.flip(1)), lengths_B.clone())


def test_logarithms_of_sums_neither_overflow_nor_underflow():
    program = capture(Operations(), [torch.randn(2, 5), torch.tensor([5, 3])])
    names = {"inputs": ["x", "lengths"], "outputs": [*"abcde", "end"]}
    content = to_onnx(program, names, {})
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x_BT = torch.linspace(-800, 800, 300).repeat(3, 1)
    x_BT[1, :3] = x_BT[1, -3:] = -torch.inf
    arguments = [x_BT, torch.tensor([300, 1, 2])]
    for got, due in zip(run_onnx(content)(arguments), Operations()(*arguments), strict=True):
        assert got.dtype == due.dtype
        torch.testing.assert_close(got, due, rtol=1e-6, atol=1e-5)
