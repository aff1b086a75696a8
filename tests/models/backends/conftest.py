"""Triton's kernels as the tests use them: compiled where there is a GPU, else run by Triton's interpreter."""

import importlib
import os
import subprocess
import sys
from unittest import mock

import pytest
import torch

from seqkit.models import backends
from seqkit.models.backends import fused

NAMES = "fused.triton_steps", "fused.triton_persistent", "fused.triton_persistent_kernels", "triton_scan"


@pytest.fixture(scope="session")
def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="session")
def triton_kernels(device):
    """Return the modules of ``NAMES``; without a GPU, copies of them that nothing but these tests gets to see."""
    pytest.importorskip("triton")  # itself imported as ever, so that what is imported later is compiled as ever
    full = [f"{backends.__name__}.{name}" for name in NAMES]
    if device == "cuda":
        return [importlib.import_module(name) for name in full]
    with (
        mock.patch.dict(os.environ, TRITON_INTERPRET="1"),
        mock.patch.dict(sys.modules),
        mock.patch.dict(vars(backends)),  # where an import leaves a submodule, too
        mock.patch.dict(vars(fused)),
    ):
        for name in full:
            sys.modules.pop(name, None)
        return [importlib.import_module(name) for name in full]


@pytest.fixture(scope="session")
def triton_steps(triton_kernels):
    return triton_kernels[0]


@pytest.fixture(scope="session")
def triton_persistent(triton_kernels):
    return triton_kernels[1]


@pytest.fixture(scope="session")
def triton_scan(triton_kernels):
    return triton_kernels[3]


@pytest.fixture
def gpu_code(monkeypatch, tmp_path):
    """Return a function that compiles a kernel for a GPU, which need not be there.

    It takes the kernel, its arguments by name (their type as Triton writes it, or the value of a constant) and the
    number of warps, and returns what the code needs on the GPU in the words of cuobjdump.
    """
    triton = pytest.importorskip("triton", minversion="3.4")  # before, its compiler was called in another way
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    def compile_(kernel, arguments: dict, warps: int) -> str:
        given = {name: arguments[name] for name in kernel.arg_names}
        types = {name: value if isinstance(value, str) else "constexpr" for name, value in given.items()}
        constants = {name: value for name, value in given.items() if not isinstance(value, str)}
        source = triton.compiler.ASTSource(kernel, types, constants)
        target = triton.backends.compiler.GPUTarget("cuda", 80, 32)
        code = triton.compile(source, target=target, options={"num_warps": warps, "enable_fp_fusion": True})
        (tmp_path / "code").write_bytes(code.asm["cubin"])
        tool = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(tmp_path / "code")]
        return subprocess.run(tool, capture_output=True, text=True, check=True).stdout

    return compile_
