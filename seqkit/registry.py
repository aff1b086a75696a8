"""The components by kind and name: register, find, build."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import seqkit
from seqkit import schema
from seqkit.errors import ConfigError, PluginError, unknown
from seqkit.files import sha256_of

KINDS = ("data", "frontend", "model", "head", "optimizer", "scheduler", "trainer", "logger")
METHODS = {
    "data": ("setup", "part", "collate", "order"),
    "head": ("loss", "scores", "decode"),
}
BUILT_IN = (
    "data",
    "frontends",
    "heads",
    "models",
    "training.loggers",
    "training.optimizers",
    "training.schedules",
    "config",
)


@dataclass(frozen=True)
class Component:
    """A registered component: the class or function, and where it came from."""

    kind: str
    name: str
    factory: Callable

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (self.factory.__doc__ or "").strip().partition("\n")[0]

    @property
    def origin(self) -> str:
        """The module that defines it."""
        return self.factory.__module__

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


_components: dict[str, dict[str, Component]] = {kind: {} for kind in KINDS}


def register(kind: str, name: str) -> Callable[[Callable], Callable]:
    """Register a class or function as ``kind=name``; its keyword-only parameters become its options.

    Raises:
        PluginError: The name is taken, is not an identifier, or the signature cannot be checked.
    """

    def decorate(factory: Callable) -> Callable:
        if not name.isidentifier():
            raise PluginError(f"{kind} name '{name}' must be letters, digits and _, not starting with a digit")
        taken = _components[kind].get(name)
        if taken and (taken.origin, taken.factory.__qualname__) != (factory.__module__, factory.__qualname__):
            raise PluginError(f"{kind} '{name}' of {factory.__module__} is already registered by {taken.origin}")
        lacks = [
            method for method in METHODS.get(kind, ()) if inspect.isclass(factory) and not hasattr(factory, method)
        ]
        if lacks:
            raise PluginError(f"{kind} '{name}' lacks {', '.join(lacks)}; seqkit.contracts says what each does")
        if any(option.name == "name" for option in schema.options(factory)):
            raise PluginError(f"{kind} '{name}' has an option 'name', which is the component's own; call it otherwise")
        _components[kind][name] = Component(kind, name, factory)
        return factory

    return decorate


register_data = partial(register, "data")
register_frontend = partial(register, "frontend")
register_model = partial(register, "model")
register_head = partial(register, "head")
register_optimizer = partial(register, "optimizer")
register_scheduler = partial(register, "scheduler")
register_logger = partial(register, "logger")


def load_built_in() -> None:
    """Import the modules that hold seqkit's own components."""
    for module in BUILT_IN:
        import_module(f"seqkit.{module}")


def names(kind: str) -> list[str]:
    """Return the registered names of a kind, sorted."""
    load_built_in()
    return sorted(_components[kind])


def find(kind: str, name: str) -> Component:
    """Return the component ``kind=name``.

    Raises:
        ConfigError: There is none; the message names the nearest and all.
    """
    if kind not in KINDS:
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
