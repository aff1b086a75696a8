"""The library of the loops in C: which one is taken, how it is compiled and kept, and what is said where there is none."""

import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from seqkit.models import Recurrent
from seqkit.models.backends.fused import c_loops, library
from seqkit.models.backends.fused.compiling import LEVELS, NATIVE, file_name
from seqkit.models.cells.peephole_lstm import PeepholeLSTM
from tests.compilers import needs_compiler, quick_compiler, script

CACHED = library.target, library.path, library.fingerprint, library.load, c_loops._unavailable_reason


def forget() -> None:
    """Choose anew, as in a new process."""
    for function in CACHED:
        function.cache_clear()


@pytest.fixture(autouse=True)
def set_to(monkeypatch, tmp_path):
    """Return what sets environment variables for a choice that is made anew; the cache is empty at first."""

    def set_to(**environment: str) -> None:
        forget()
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    monkeypatch.delenv("SEQKIT_COMPILED", raising=False)
    set_to(XDG_CACHE_HOME=str(tmp_path / "cache"))
    yield set_to
    monkeypatch.undo()
    forget()


def reason() -> str:
    return c_loops.CLoops().unavailable_reason(torch.device("cpu"), torch.float32)


@needs_compiler
def test_it_is_compiled_once_and_kept(set_to, tmp_path):
    set_to(CC=quick_compiler(tmp_path))
    made, first = library.path(torch.float32), library.fingerprint(torch.float32)
    assert (made.parent, list(made.parent.glob("*.so"))) == (tmp_path / "cache" / "seqkit", [made])
    set_to(CC="no-such-compiler")
    assert (library.path(torch.float32), reason()) == (made, "")
    shutil.rmtree(made.parent)
    assert library.fingerprint(torch.float32) == first
    set_to(CC=quick_compiler(tmp_path))
    assert library.fingerprint(torch.float32) == first


@needs_compiler
def test_without_a_cache_it_is_compiled_elsewhere(set_to, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    set_to(XDG_CACHE_HOME=str(tmp_path / "file"), CC=quick_compiler(tmp_path))
    assert reason() == ""
    assert library.path(torch.float32).is_relative_to(tmp_path / "elsewhere")


@pytest.mark.parametrize(("compiler", "said"), [
    ("echo 'cc1: out of luck' >&2; exit 1", " failed: cc1: out of luck"),
    ("printf '\\377\\n' >&2; exit 1", " failed: \N{REPLACEMENT CHARACTER}"),
    ("exit 1", " failed: no message"),
    ('for place; do :; done; echo __kmpc_fork_call > "$place"',
     " compiles OpenMP for another library than GNU's, which torch uses"),
])  # fmt: skip
def test_a_compiler_that_fails_is_quoted(set_to, tmp_path, compiler, said):
    bad = script(tmp_path / "bad-cc", compiler)
    set_to(CC=bad)
    assert reason() == bad + said
    assert list((tmp_path / "cache" / "seqkit").glob("*.so")) == []


def test_a_compiler_that_does_not_start_is_named(set_to, tmp_path):
    bad = Path(script(tmp_path / "bad-cc", ""))
    bad.write_text("#!/no/such/shell\n")
    set_to(CC=str(bad))
    assert reason() == f"{bad} cannot be run: No such file or directory"


def test_a_compiler_that_hangs_is_ended(set_to, monkeypatch, tmp_path):
    set_to(CC=script(tmp_path / "slow-cc", "exec sleep 600"))
    monkeypatch.setattr(library, "PATIENCE", 0.1)
    assert reason() == f"{tmp_path}/slow-cc took more than 0.1 seconds"


def test_without_a_compiler_the_model_runs_and_says_so(set_to):
    set_to(CC="no-such-compiler")
    model = Recurrent(PeepholeLSTM, 3, hidden_size=4)
    model(torch.zeros(2, 5, 3))[0].sum().backward()
    assert model.backends()[0].reason.endswith("in torch, as no C compiler was found (no-such-compiler)")


def test_by_a_wish_there_are_none(set_to):
    set_to(SEQKIT_COMPILED="0")
    assert reason() == "SEQKIT_COMPILED=0"


def test_levels_are_complete_from_below():
    v4, v3, v2 = LEVELS.values()
    assert library.levels(f"fpu {v2} {v3} {v4} sse4a") == ("x86-64-v4", "x86-64-v3", "x86-64-v2")
    assert library.levels(f"{v2} {v3} avx512f") == ("x86-64-v3", "x86-64-v2")
    assert library.levels(f"{v2} {v4}") == ("x86-64-v2",)
    assert library.levels(f"{v3} sse4_1") == ()


def test_the_best_in_the_wheel_is_taken_at_once(set_to, monkeypatch, tmp_path):
    monkeypatch.setattr(library, "IN_THE_WHEEL", tmp_path)
    monkeypatch.setattr(library, "runnable_targets", lambda: ("x86-64-v3", "x86-64-v2"))
    set_to(CC="no-such-compiler")
    (tmp_path / file_name("x86-64-v4", "float32")).touch()
    assert library.target() == NATIVE
    assert library.description() == "compiled from C, for this processor"
    for level in ("x86-64-v2", "x86-64-v3"):
        (tmp_path / file_name(level, "float32")).touch()
        set_to()
        assert library.path(torch.float32) == tmp_path / file_name(level, "float32")
        assert library.description() == f"compiled from C, in the wheel, for {level}"
    assert reason().startswith("compiled ones cannot be loaded: ")  # an empty file
    set_to(SEQKIT_COMPILED="x86-64-v2")
    assert library.path(torch.float32) == tmp_path / file_name("x86-64-v2", "float32")
    set_to(SEQKIT_COMPILED="native")
    assert reason() == "no C compiler was found (no-such-compiler)"
    set_to(SEQKIT_COMPILED="x86-64-v4")
    assert reason() == "SEQKIT_COMPILED=x86-64-v4 is none of 0, native, x86-64-v3, x86-64-v2"
