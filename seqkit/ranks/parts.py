"""What a rank is told to do: a function of a module, by its name, with keyword arguments as plain JSON."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from seqkit.ranks.group import group

Part = Callable[..., Any]


def name_of(part: Part) -> str:
    """Return the name by which another process finds a function."""
    return f"{part.__module__}:{part.__qualname__}"


def do(name: str, arguments: dict[str, Any]) -> None:
    """Call the function of that name."""
    module, _, function = name.partition(":")
    getattr(import_module(module), function)(**arguments)


def ask(part: Part, **arguments: Any) -> None:
    """Tell the ranks that ``follow`` their part; this one then does its own by itself."""
    group().broadcast((name_of(part), arguments))


def lead(command: Callable[[], int | None]) -> int | None:
    """Carry out a command on rank 0 of ranks that were started together, and return its code; others ``follow``."""
    code = command()
    group().broadcast(None)
    return code


def follow() -> None:
    """Do this rank's part of all that rank 0 asks for, until there is nothing left."""
    while job := group().broadcast():
        do(*job)
