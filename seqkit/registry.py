"""The components by kind and name: register, find, build; and data specs as JSON, by registered name."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import seqkit
from seqkit import schema
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, PluginError, unknown
from seqkit.files import sha256_of

KINDS = ("data", "frontend", "model", "head", "optimizer", "scheduler", "trainer", "logger")
"""Kinds that are chosen in the config, each a group of it."""

SPEC_KINDS = ("inputs", "task", "tokenizer")
"""Kinds of which a data spec is made."""

METHODS = {
    "data": ("setup", "part", "collate", "order"),
    "head": ("loss", "predict"),
    "logger": ("log_metrics",),
    "optimizer": ("step", "state_dict", "load_state_dict"),
    "inputs": ("frontend", "read", "chunk", "example"),
    "task": ("head", "metrics", "answers"),
    "tokenizer": ("pieces", "fit", "ids", "encode", "decode", "continued", "sizes", "plural"),
}


@dataclass(frozen=True)
class Component:
    """A registered component.

    Attributes:
        kind: One of ``KINDS`` or ``SPEC_KINDS``.
        name: Name in the config.
        factory: The class or function that makes it.
        origin: Module that defines it.
        qualname: Name in that module.
        doc: Its docstring.
    """

    kind: str
    name: str
    factory: Callable
    origin: str
    qualname: str
    doc: str

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return self.doc.strip().partition("\n")[0]

    def provenance(self) -> dict[str, str]:
        """Return the distribution and version that hold it, else its file and the file's sha256, else its module."""
        if self.origin.partition(".")[0] == "seqkit":
            return {"distribution": "seqkit", "version": seqkit.__version__}
        file = getattr(sys.modules.get(self.origin), "__file__", None)
        if file is None:
            return {"module": self.origin}
        place = Path(file).resolve()
        for name in metadata.packages_distributions().get(self.origin.partition(".")[0], ()):
            if place.is_relative_to(Path(str(metadata.distribution(name).locate_file(""))).resolve()):
                return {"distribution": name, "version": metadata.version(name)}
        return {"file": str(place), "sha256": sha256_of([place])}


_components: dict[str, dict[str, Component]] = {kind: {} for kind in (*KINDS, *SPEC_KINDS)}


def register(kind: str, name: str, source: Any = None, doc: str | None = None) -> Callable[[Callable], Callable]:
    """Register a class or function as ``kind=name``; its keyword-only parameters become its options.

    Args:
        kind: One of ``KINDS`` or ``SPEC_KINDS``.
        name: Name in the config.
        source: The class or function that an author wrote, where it is not the registered one itself.
        doc: Docstring, where it is not that of the registered one.

    Raises:
        PluginError: The name is taken, is not an identifier, or the signature cannot be checked.
    """

    def decorate(factory: Callable) -> Callable:
        if not name.isidentifier():
            raise PluginError(f"{kind} name '{name}' must be letters, digits and _, not starting with a digit")
        written = source or factory
        taken = _components[kind].get(name)
        if taken and (taken.origin, taken.qualname) != (written.__module__, written.__qualname__):
            raise PluginError(f"{kind} '{name}' of {written.__module__} is already registered by {taken.origin}")
        lacks = [
            method for method in METHODS.get(kind, ()) if inspect.isclass(factory) and not hasattr(factory, method)
        ]
        if lacks:
            raise PluginError(f"{kind} '{name}' lacks {', '.join(lacks)}; seqkit.contracts says what each does")
        if kind in SPEC_KINDS and not is_dataclass(factory):
            raise PluginError(f"{kind} '{name}' is no dataclass; it must be one, so that it can be saved as JSON")
        if any(option.name == "name" for option in schema.options(factory)):
            raise PluginError(f"{kind} '{name}' has an option 'name', which is the component's own; call it otherwise")
        text = inspect.getdoc(factory) if doc is None else doc
        _components[kind][name] = Component(kind, name, factory, written.__module__, written.__qualname__, text or "")
        return factory

    return decorate


register_data = partial(register, "data")
register_frontend = partial(register, "frontend")
register_model = partial(register, "model")
register_head = partial(register, "head")
register_optimizer = partial(register, "optimizer")
register_scheduler = partial(register, "scheduler")
register_logger = partial(register, "logger")
register_inputs = partial(register, "inputs")
register_task = partial(register, "task")
register_tokenizer = partial(register, "tokenizer")


def load_built_in() -> None:
    """Import the modules that hold seqkit's own components."""
    for module in seqkit.BUILT_IN:
        import_module(module)


def names(kind: str) -> list[str]:
    """Return the registered names of a kind, sorted."""
    load_built_in()
    return sorted(_components[kind])


def plugins() -> list[Component]:
    """Return the registered components that are not seqkit's own."""
    every = (component for found in _components.values() for component in found.values())
    return [component for component in every if component.origin.partition(".")[0] != "seqkit"]


def find(kind: str, name: str) -> Component:
    """Return the component ``kind=name``.

    Raises:
        ConfigError: There is none; the message names the nearest and all.
    """
    if kind not in _components:
        raise unknown("kind of component", kind, KINDS)
    load_built_in()
    if name not in _components[kind]:
        raise unknown(kind, name, _components[kind])
    return _components[kind][name]


def check(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` as plain JSON with every option validated and every default filled in.

    Args:
        kind: One of ``KINDS``.
        config: ``{"name": ..., option: value, ...}``.
    """
    component, values = _resolve(kind, config)
    return {"name": component.name, **schema.plain(component.factory, values)}


def build(kind: str, config: Mapping[str, Any] | str, *runtime: Any) -> Any:
    """Build the component that ``config`` names, checking its options again.

    Args:
        kind: One of ``KINDS``.
        config: ``{"name": ..., option: value, ...}``, or just the name.
        runtime: What the contract of the kind passes before the ``*``: sizes, spec.

    Raises:
        ConfigError: Unknown name or option, or a value outside its type.
    """
    component, values = _resolve(kind, {"name": config} if isinstance(config, str) else config)
    return component.factory(*runtime, **values)


def _resolve(kind: str, config: Mapping[str, Any]) -> tuple[Component, dict[str, Any]]:
    if not isinstance(config, Mapping) or not config.get("name"):
        raise ConfigError(f"{kind} needs a name. Known: {', '.join(names(kind))}")
    component = find(kind, config["name"])
    given = {option: value for option, value in config.items() if option != "name"}
    return component, schema.check(component.factory, given, f"{kind}={component.name}")


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """Return a data spec as plain dicts, lists, strings and numbers, its kinds by their registered names."""
    return {side: _to_json(getattr(spec, side)) for side in ("inputs", "task")}


def spec_from_json(data: Any) -> DataSpec:
    """Rebuild the spec that ``spec_to_json`` wrote.

    Raises:
        ConfigError: A kind is not registered here, or the content is not that of a spec.
    """
    load_built_in()
    try:
        return DataSpec(**{side: _from_json(data[side]) for side in ("inputs", "task")})
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{type(error).__name__} {' '.join(str(error).split())}") from None


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    if not is_dataclass(value):
        raise PluginError(
            f"a data spec holds {type(value).__name__} {str(value)[:60]}; it may hold str, int, float, bool, None, "
            "tuples of them and registered dataclasses, so that it can be saved"
        )
    component = component_of(value)
    own = {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    return {"kind": component.kind, "name": component.name, **own}


def component_of(value: Any) -> Component:
    """Return the component that a value of a data spec is built by: its input kind, task or tokenizer.

    Raises:
        PluginError: There is none.
    """
    for kind in SPEC_KINDS:
        for component in _components[kind].values():
            if component.factory is type(value):
                return component
    raise PluginError(f"{type(value).__name__} is in a data spec and not registered as one of {', '.join(SPEC_KINDS)}")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    values = {key: _from_json(item) for key, item in value.items()}
    return find(values.pop("kind"), values.pop("name")).factory(**values)
