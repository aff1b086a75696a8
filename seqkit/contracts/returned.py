"""What frontends and models must have and return, with refusals that name the class of a plugin which does not."""

# B batch, T time (steps), I input size of the model, H its output size

import inspect
from typing import Any

from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import PluginError


def check_frontend(frontend: Any) -> None:
    """Refuse a frontend that lacks what a network is put together by; raises ``PluginError``."""
    _check_size(frontend, "frontend", "features of each step that it gives")
    _check_call(frontend, "frontend", "inputs", "lengths")


def check_model(model: Any) -> None:
    """Refuse a model that lacks what a network is put together by; raises ``PluginError``."""
    _check_size(model, "model", "features of each step of its output")
    if not isinstance(getattr(model, "causal", None), bool):
        raise PluginError(
            f"{_name(model)} has no 'causal'; a model says there, True or False, whether its output at a step depends "
            "on that step and earlier ones only"
        )
    _check_call(model, "model", "x_BTI", "lengths_B", "state")


def check_steps(frontend: Any, returned: Any) -> None:
    """Refuse what a frontend returned unless it is (x_BTI, lengths_B) with I its output size.

    Raises:
        PluginError: It is something else; the frontend is named.
    """
    if not _is_pair(returned) or not isinstance(returned[0], Tensor):
        raise PluginError(
            f"{_name(frontend)} returned {kind_of(returned)}; a frontend returns (x_BTI, lengths_B), its steps and the "
            "valid ones of each row"
        )
    x_BTI, lengths_B = returned
    size = frontend.output_size
    if x_BTI.dim() != 3 or x_BTI.shape[2] != size:
        raise PluginError(
            f"{_name(frontend)} returned steps of shape {tuple(x_BTI.shape)}; a frontend with output_size={size} "
            f"returns (B, T, {size})"
        )
    if lengths_B is not None and (not isinstance(lengths_B, Tensor) or lengths_B.shape != x_BTI.shape[:1]):
        raise PluginError(
            f"{_name(frontend)} returned {kind_of(lengths_B)} for the lengths of {len(x_BTI)} rows; a frontend returns "
            "a tensor (B,), the valid steps of each row, or None where all are"
        )


def check_outputs(model: Any, returned: Any, x_BTI: Tensor) -> None:
    """Refuse what a model returned for x_BTI unless it is (y_BTH, state) with H its output size.

    Raises:
        PluginError: It is something else; the model is named.
    """
    if not _is_pair(returned) or not isinstance(returned[0], Tensor):
        raise PluginError(
            f"{_name(model)} returned {kind_of(returned)}; a model returns (y_BTH, state), the state () if it has none"
        )
    y_BTH, state = returned
    rows, steps, _ = x_BTI.shape
    due = (rows, steps, model.output_size)
    if y_BTH.shape != due:
        raise PluginError(
            f"{_name(model)} returned an output of shape {tuple(y_BTH.shape)} for an input of {tuple(x_BTI.shape)}; a "
            f"model with output_size={model.output_size} returns {due}"
        )
    _check_state(model, state, rows)


def _check_state(model: Any, state: State, rows: int) -> None:
    rule = "a model returns a tuple of tensors, each with the batch as its second axis, or () if it has none"
    if not isinstance(state, tuple) or not all(isinstance(part, Tensor) for part in state):
        raise PluginError(f"{_name(model)} returned {kind_of(state)} as its state; {rule}")
    for part in state:
        if part.dim() < 2 or part.shape[1] != rows:
            raise PluginError(f"{_name(model)} returned a state of shape {tuple(part.shape)} for {rows} rows; {rule}")


def _check_size(part: Any, kind: str, meaning: str) -> None:
    size = getattr(part, "output_size", None)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        said = "no 'output_size'" if size is None else f"output_size={size!r}"
        raise PluginError(f"{_name(part)} has {said}; a {kind} says there how many {meaning}, 1 or more")


def _check_call(part: Any, kind: str, *names: str) -> None:
    if not callable(part):
        raise PluginError(f"{_name(part)} cannot be called; a {kind} is called as ({', '.join(names)})")
    called = getattr(part, "forward", part)
    try:
        inspect.signature(called).bind(*names)
    except TypeError as error:
        raise PluginError(f"{_name(part)} is called as ({', '.join(names)}), as a {kind} is: {error}") from None
    except ValueError:  # a callable of C, which tells nothing
        return


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def kind_of(value: Any) -> str:
    """Return the type of a value, with the shape of a tensor or the length of a tuple."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _name(part: Any) -> str:
    return type(part).__name__
