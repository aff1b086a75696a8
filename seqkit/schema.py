"""From a signature to command-line options: the typed config node and the checked call.

Parameters before the ``*`` come from seqkit at run time; parameters after it are the component's options.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, ValidationError, create_model

from seqkit.errors import ConfigError, PluginError, nearest, one_line, shortened

Probability = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 up to, not including, 1."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Pattern of names that any file system, shell and logger takes."""

LARGEST = 2**63  # of a signed 64-bit integer, in which tensors and ranges count
MISSING = "???"  # how OmegaConf writes an option that has to be given


@dataclass(frozen=True)
class Option:
    """One command-line option of a component: its name, type and default (``inspect.Parameter.empty`` if required)."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def signature(component: Callable) -> inspect.Signature:
    """Return the component's signature with its annotations resolved and without ``self``."""
    plain = inspect.signature(component)
    function = component.__init__ if inspect.isclass(component) else component  # type: ignore[misc]
    try:
        hints = get_type_hints(function, include_extras=True) if hasattr(function, "__annotations__") else {}
    except Exception as error:  # an annotation in quotes may hold any code
        raise PluginError(f"{_name(component)}: its annotations cannot be read: {one_line(error)}") from None
    parameters = [p.replace(annotation=hints.get(p.name, p.annotation)) for p in plain.parameters.values()]
    return plain.replace(parameters=parameters)


@cache
def options(component: Callable) -> tuple[Option, ...]:
    """Return the options of a component in the order of its signature, or those that its ``component_options`` state.

    Raises:
        PluginError: A parameter has no annotation, or is ``*args`` or ``**kwargs``, so it could not be checked.
    """
    if hasattr(component, "component_options"):
        return component.component_options
    found = []
    for parameter in signature(component).parameters.values():
        where = f"{_name(component)}: parameter '{parameter.name}'"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{where} takes any argument; name each option, so that a typo can be refused")
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if parameter.annotation is parameter.empty:
            raise PluginError(f"{where} has no annotation; give it a type, so that its values can be checked")
        found.append(Option(parameter.name, parameter.annotation, parameter.default))
    return tuple(found)


def node(title: str, component: Callable, fixed: Mapping[str, str] | None = None) -> type:
    """Return a dataclass for Hydra's ConfigStore: one field an option, of the nearest type that OmegaConf can hold.

    Args:
        title: Of the dataclass; it shows in messages.
        component: Whose options become fields.
        fixed: Fields in front of them, such as the component's ``name``.
    """
    columns: list[Any] = [(key, str, value) for key, value in (fixed or {}).items()]
    for option in options(component):
        default = MISSING if option.required else option.default
        if isinstance(default, list | tuple | dict):
            value = list(default) if isinstance(default, tuple) else default
            default = field(default_factory=partial(deepcopy, value))
        columns.append((option.name, _nearest_type(option.type), default))
    return make_dataclass(title, columns)


def check_defaults(component: Callable, what: str) -> None:
    """Refuse a default that is not of its option's type or that no config can hold; it would break every config.

    Args:
        component: Whose options they are.
        what: The component in words, for the message.

    Raises:
        PluginError: One of them is wrong; the message names it.
    """
    defaults = {option.name: option for option in options(component) if not option.required}
    for option in defaults.values():
        kind = _nearest_type(option.type)
        if not _holds(kind, option.default):
            wrong = "no config can hold it" if kind is Any else f"not of type {getattr(kind, '__name__', kind)}"
            raise _bad_default(what, option, wrong)
    try:
        _validator(component)()
    except ValidationError as error:
        for fault in error.errors():
            if fault["loc"][0] in defaults:
                raise _bad_default(what, defaults[str(fault["loc"][0])], _lower(fault["msg"])) from None


def _bad_default(what: str, option: Option, wrong: str) -> PluginError:
    return PluginError(f"{what}: option '{option.name}' has the default {shortened(repr(option.default))}: {wrong}")


def _holds(kind: Any, default: Any) -> bool:
    """Whether a config node of ``kind`` can hold a default: of that very type, or plain data where it may be any."""
    if get_origin(kind) is UnionType:
        return default is None or _holds(get_args(kind)[0], default)
    if kind is not Any:
        return type(default) is kind or (kind is float and type(default) is int)
    if isinstance(default, list | tuple):
        return all(_holds(Any, item) for item in default)
    if isinstance(default, dict):
        return all(type(key) is str and _holds(Any, item) for key, item in default.items())
    return default is None or isinstance(default, bool | int | float | str | Path | Enum)


def check(component: Callable, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Validate options fully (Literal, ranges, unions, paths) and return all of them, defaults filled in.

    Args:
        component: Whose options they are.
        given: Option values by name.
        where: The config group and name, ``model=lstm``, for the message; empty for settings outside a group.

    Raises:
        ConfigError: An option is unknown, missing or has a value outside its type; one line.
    """
    group = where.partition("=")[0]
    known = [option.name for option in options(component)]
    for name in given:
        if name not in known:
            raise unknown_option(component, name, where)
    try:
        checked = _validator(component)(**given)
    except ValidationError as error:
        raise ConfigError(_one_line(error, group, where)) from None
    values = {name: getattr(checked, name) for name in known}
    for name, value in values.items():
        if isinstance(value, int) and abs(value) >= LARGEST:
            key = f"{group}.{name}" if group else name
            raise ConfigError(f"{key}={shortened(value)}: no machine counts so far; give a smaller number")
    return values


def unknown_option(component: Callable, name: str, where: str, elsewhere: str = "") -> ConfigError:
    """Build the refusal of an option that a component does not have.

    Args:
        component: Whose options there are.
        name: Of the option.
        where: As in ``check``.
        elsewhere: Whole name of such an option of another component, ``optimizer.lr``; empty if there is none.
    """
    known = [option.name for option in options(component)]
    renamed = getattr(component, "renamed_options", {})
    if name in renamed:
        return ConfigError(f"no option '{name}' in {where}: it is {where.partition('=')[0]}.{renamed[name]} now")
    listing = f"Options: {', '.join(known)}" if known else "It has no options"
    near = f"Did you mean '{elsewhere}'? " if elsewhere else nearest(name, known)
    return ConfigError(f"no option '{name}' in {where}. {near}{listing}")


def plain(component: Callable, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked options as plain JSON values."""
    return _validator(component).model_construct(**values).model_dump(mode="json")


@cache
def _validator(component: Callable) -> Any:
    columns: dict[str, Any] = {
        option.name: (option.type, ... if option.required else option.default) for option in options(component)
    }
    config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        validate_default=True,
        allow_inf_nan=False,
    )
    return create_model(getattr(component, "__qualname__", type(component).__qualname__), __config__=config, **columns)


def _name(component: Callable) -> str:
    return f"{component.__module__}.{getattr(component, '__qualname__', type(component).__qualname__)}"


def _one_line(error: ValidationError, group: str, where: str) -> str:
    first = error.errors()[0]
    option = str(first["loc"][0])
    key = f"{group}.{option}" if group else option
    if first["type"] == "missing":
        return f"{where} needs {key}"
    if first["type"] == "literal_error":
        return f"{key}={shortened(first['input'])}: choose one of {first['ctx']['expected'].replace(' or ', ', ')}"
    if first["type"] == "string_pattern_mismatch" and not first["input"]:
        return f"{key}= is empty; if it comes from a variable of the shell, that is not set"
    if first["type"] in ("list_type", "tuple_type"):
        value = shortened(first["input"])
        return f"{key}={value}: not a list; write '{key}=[{value}]'"
    if first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == NAME:
        return f"{key}={shortened(first['input'])}: letters, digits and . _ - only, starting with a letter or digit"
    several = [e["msg"] for e in error.errors() if e["loc"][0] == option]
    message = " or ".join(dict.fromkeys(_lower(text) for text in several))
    value = first["input"] if len(first["loc"]) == 1 else _at(error, option, first["input"])
    return f"{key}={shortened(value, 200)}: {message}"


def _at(error: ValidationError, option: str, inner: Any) -> Any:
    """Return the innermost offending value, with where it stands when that is inside a list."""
    place = [str(part) for part in error.errors()[0]["loc"][1:] if isinstance(part, int)]
    return f"{inner} (item {', '.join(place)})" if place else inner


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _nearest_type(annotation: Any) -> Any:
    """Map an annotation to the nearest type that OmegaConf can hold and check."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _nearest_type(arguments[0])
    if origin is Literal:
        kinds = {type(value) for value in arguments}
        return kinds.pop() if len(kinds) == 1 else Any
    if origin in (Union, UnionType):
        rest = [argument for argument in arguments if argument is not NoneType]
        inner = _nearest_type(rest[0]) if len(rest) == 1 else Any
        return inner if inner is Any or len(rest) == len(arguments) else inner | None
    return annotation if annotation in (bool, int, float, str) else Any
