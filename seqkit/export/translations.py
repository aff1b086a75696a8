"""Operations of torch that its own ONNX exporter translates inexactly."""

import operator
from collections.abc import Callable
from typing import Any

import torch

FLOOR = -3e38  # under the larger of two logarithms: -inf - -inf is NaN
# One step of log(exp(total) + exp(x)).
LOGADDEXP = """
logaddexp ({type} total, {type} x) => ({type} next, {type} y)
<{element}[1] floor = {{{floor}}}> {{
    top = Max(total, x, floor)
    total_below = Sub(total, top)
    x_below = Sub(x, top)
    total_share = Exp(total_below)
    x_share = Exp(x_below)
    sum = Add(total_share, x_share)
    below = Log(sum)
    next = Add(top, below)
    y = Identity(next)
}}
"""


def translations() -> dict[Callable, Callable]:
    """Return translations into operators of ONNX, for ``torch.onnx.export``."""
    aten = torch.ops.aten
    return {
        operator.floordiv: _floordiv,
        aten.log_sigmoid.default: _log_sigmoid,
        aten.logaddexp.default: _logaddexp,
        aten.logcumsumexp.default: _logcumsumexp,
    }


def _floordiv(self: Any, other: Any) -> Any:
    """Python's // of two sizes; torch's own translation is Div, which rounds towards zero."""
    from onnxscript import opset20

    return opset20.Div(opset20.Sub(self, opset20.Mod(self, other)), other)


def _log_sigmoid(self: Any) -> Any:
    """Negative softplus of -x; torch's own translation is the logarithm of a sigmoid, which underflows to 0."""
    from onnxscript import opset20

    return opset20.Neg(opset20.Softplus(opset20.Neg(self)))


def _logaddexp(self: Any, other: Any) -> Any:
    """Relative to the larger one; torch's own translation is log(exp(x) + exp(y)), which overflows and underflows."""
    from onnxscript import opset20

    op: Any = opset20
    top = op.Max(self, other, op.CastLike(op.Constant(value_float=FLOOR), self))
    return op.Add(top, op.Log(op.Add(op.Exp(op.Sub(self, top)), op.Exp(op.Sub(other, top)))))


def _logcumsumexp(self: Any, dim: int) -> Any:
    """A scan of logaddexp; torch's own translation is relative to the largest element, so that others underflow."""
    import onnx.parser
    import onnx_ir
    from onnxscript import opset20
    from torch.onnx._internal.exporter._torchlib.ops import hop

    axes = range(len(self.shape))
    order = [dim % len(axes), *(axis for axis in axes if axis != dim % len(axes))]
    element = "double" if self.dtype == onnx_ir.DataType.DOUBLE else "float"
    kind = f"{element}[{','.join(f'size{axis}' for axis in order[1:])}]"
    body: Any = onnx_ir.from_proto(onnx.parser.parse_graph(LOGADDEXP.format(element=element, type=kind, floor=FLOOR)))
    op: Any = opset20
    turned = op.Transpose(self, perm=order)
    first = op.Gather(turned, op.Constant(value_int=0), axis=0)
    start = op.Expand(op.CastLike(op.Constant(value_float=-torch.inf), self), op.Shape(first))
    _, found = hop.call_op("Scan", start, turned, _num_outputs=2, body=body, num_scan_inputs=1)
    return op.Transpose(found, perm=[order.index(axis) for axis in axes])
