"""What every test of exports shares."""

import pytest


@pytest.fixture(autouse=True, scope="package")
def _one_registry():
    """Let torch make its table of translations, the slowest part of a small export, once."""
    pytest.importorskip("onnxscript")
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    table = ONNXRegistry.from_torchlib()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", lambda *_, **__: table)
        yield
