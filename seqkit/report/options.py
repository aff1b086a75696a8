"""Options of a component in words: name, type with range, default, meaning."""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from seqkit import schema

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Note|Notes|Example|Examples|References):")


def options(factory: Callable, doc: str) -> list[dict[str, Any]]:
    """Return name, type, default and explanation of each option, or of each field of a dataclass of a data spec."""
    explained = arguments(doc)
    return [
        {"name": name, "type": type_text(kind), "default": default, "explanation": explained.get(name, "")}
        for name, kind, default in _columns(factory)
    ]


def _columns(factory: Callable) -> list[tuple[str, Any, Any]]:
    found = [(option.name, option.type, "required" if option.required else option.default)
             for option in schema.options(factory)]  # fmt: skip
    if found or not is_dataclass(factory):
        return found
    hints = get_type_hints(factory, include_extras=True)
    return [
        (field.name, hints[field.name], "required" if field.default is MISSING else field.default)
        for field in fields(factory)
    ]


def arguments(doc: str) -> dict[str, str]:
    """Return the entries of the ``Args:`` and ``Attributes:`` sections of a Google docstring."""
    found: dict[str, str] = {}
    current = None
    inside = False
    for line in doc.splitlines():
        if SECTION.fullmatch(line):
            inside = line in ("Args:", "Attributes:")
            current = None
        elif inside and (match := re.fullmatch(r" {4}(\w+): (.*)", line)):
            current = match[1]
            found[current] = match[2]
        elif inside and current and line.startswith(" " * 8):
            found[current] += f" {line.strip()}"
        elif line.strip():
            current = None
    return found


def body(doc: str) -> str:
    """Return a docstring between its first line and its first section: for a cell, its equations."""
    lines = doc.strip().splitlines()[1:]
    end = next((number for number, line in enumerate(lines) if SECTION.fullmatch(line)), len(lines))
    return "\n".join(lines[:end]).strip()


def type_text(annotation: Any) -> str:
    """Return a type as a user would say it: ``int above 0``, ``mse | mae``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, limits = type_text(inner[0]), [_limit(rule) for rule in inner[1:]]
        return " ".join([base, *filter(None, limits)])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " | ".join("null" if kind is NoneType else type_text(kind) for kind in inner)
    if origin is tuple:
        return f"{type_text(inner[0])}, ..." if inner[1:] == (...,) else " and ".join(map(type_text, inner))
    if origin is list:
        return f"list of {type_text(inner[0])}"
    return getattr(annotation, "__name__", str(annotation))


def _limit(rule: Any) -> str:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
    rules = getattr(rule, "metadata", [rule])
    found = [f"{word} {getattr(r, key):g}" for r in rules for key, word in words.items() if hasattr(r, key)]
    return " ".join(found)
