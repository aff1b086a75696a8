"""The components by kind and name: register, find, build."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import seqkit
from seqkit import schema
from seqkit.errors import ConfigError, PluginError, shortened, shown, unknown
from seqkit.origin import Origin, is_built_in
from seqkit.process_state import left_alone

KINDS = ("data", "frontend", "model", "head", "optimizer", "scheduler", "trainer", "logger")
"""Kinds that are chosen in the config, each a group of it."""

SPEC_KINDS = ("inputs", "task", "tokenizer")
"""Kinds of which a data spec is made."""

HOW_FOUND = "a plugin is found once it is installed (pip install -e FOLDER) or named (--plugin FILE)"

RESERVED = ("nan", "null", "none", "true", "false", "inf", "on", "off", "yes", "no")
"""Words that YAML or Hydra read as something other than a name."""

METHODS = {
    "data": ("setup", "part", "collate", "order"),
    "head": ("loss", "predict"),
    "logger": ("log_metrics",),
    "optimizer": ("step", "state_dict", "load_state_dict"),
    "inputs": ("frontend", "meaning", "read", "chunk", "example"),
    "task": ("head", "metrics", "answers"),
    "tokenizer": ("pieces", "fit", "ids", "encode", "decode", "continued", "sizes", "plural"),
}
"""Methods without which a class of a kind is refused when it is registered."""

RUNTIME = {
    "data": (),
    "frontend": ("spec",),
    "model": ("input_size",),
    "head": ("output_size", "spec", "causal"),  # and rows_per_sequence, where it has such a parameter
    "optimizer": ("parameters",),
    "scheduler": ("total_steps", "mode"),
    "logger": ("folder", "config"),
}
"""What a component of a kind is called with, before the ``*`` and its options; the names are its author's."""


@dataclass(frozen=True)
class Component:
    """A registered component.

    Attributes:
        kind: One of ``KINDS`` or ``SPEC_KINDS``.
        name: Name in the config.
        factory: The class or function that makes it.
        qualname: Name of the class or function that the author wrote, in its module.
        doc: Its docstring.
        origin: Module that defines it, with file and sha256.
        place: File and line at which a plugin registered it; empty for seqkit's own.
    """

    kind: str
    name: str
    factory: Callable
    qualname: str
    doc: str
    origin: Origin
    place: str = ""

    @property
    def module(self) -> str:
        """Module that defines it."""
        return self.origin.module

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return self.doc.strip().partition("\n")[0]

    @property
    def provider(self) -> str:
        """Who provides it: "seqkit", a distribution with its version, or a file's name."""
        return self.origin.provider


_components: dict[str, dict[str, Component]] = {kind: {} for kind in (*KINDS, *SPEC_KINDS)}


def register(kind: str, name: str, source: Any = None, doc: str | None = None) -> Callable[[Callable], Callable]:
    """Register a class or function as ``kind=name``; its keyword-only parameters become its options.

    Args:
        kind: One of ``KINDS`` or ``SPEC_KINDS``.
        name: Name in the config.
        source: The class or function that an author wrote, where it is not the registered one itself.
        doc: Docstring, where it is not that of the registered one.

    Raises:
        PluginError: The name is taken or is not an identifier, or the signature cannot be checked or is not that of
            the kind.
    """

    def decorate(factory: Callable) -> Callable:
        written = source or factory
        is_plugin = not is_built_in(written.__module__)
        if is_plugin:
            load_built_in()  # so that a plugin never takes the name of a built-in component
        with at_authors_line():
            _check_contract(kind, name, factory)
            if is_plugin:
                schema.check_defaults(factory, f"{kind} '{name}'")  # tests cover seqkit's own
            text = inspect.getdoc(factory) if doc is None else doc
            place = _authors_line() if is_plugin else ""
            origin = Origin.of(written.__module__)
            new = Component(kind, name, factory, written.__qualname__, text or "", origin, place)
            if _replaces(new, _components[kind].get(name)):
                _components[kind][name] = new
        return factory

    return decorate


def _check_contract(kind: str, name: str, factory: Callable) -> None:
    if not name.isidentifier():
        raise PluginError(f"{kind} name '{name}' must be letters, digits and _, not starting with a digit")
    if name.lower() in RESERVED:
        raise PluginError(f"{kind} name '{name}' means something else in YAML and on the command line; choose another")
    lacks = [method for method in METHODS.get(kind, ()) if inspect.isclass(factory) and not hasattr(factory, method)]
    if lacks:
        raise PluginError(f"{kind} '{name}' lacks {', '.join(lacks)}; seqkit.contracts says what each does")
    if kind in SPEC_KINDS and not is_dataclass(factory):
        raise PluginError(f"{kind} '{name}' is no dataclass; it must be one, so that it can be saved as JSON")
    if kind in SPEC_KINDS and not getattr(factory, "__dataclass_params__").frozen:  # noqa: B009 unknown to the types
        raise PluginError(
            f"{kind} '{name}' is no frozen dataclass; write @dataclass(frozen=True), so that it never changes"
        )
    if any(option.name == "name" for option in schema.options(factory)):
        raise PluginError(f"{kind} '{name}' has an option 'name', which is the component's own; call it otherwise")
    if kind in RUNTIME and not hasattr(factory, "component_options"):  # those call their component themselves
        _check_runtime(kind, name, factory)


def _check_runtime(kind: str, name: str, factory: Callable) -> None:
    """Refuse a component that cannot be called with what its kind is called with; more may follow with defaults."""
    parameters = schema.signature(factory).parameters.values()
    takes = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = sum(one.default is one.empty for one in takes)
    if not needed <= len(RUNTIME[kind]) <= len(takes):
        own, due = (", ".join([*names, "*", "..."]) for names in ([one.name for one in takes], RUNTIME[kind]))
        raise PluginError(f"{kind} '{name}' takes ({own}); it must take ({due}), where its options follow the *")


def _replaces(new: Component, old: Component | None) -> bool:
    """Whether a component takes its name: it is free, or it is the same one made anew, as by a cell of a notebook.

    A file that is imported under two module names, ``__main__`` and its own, is one plugin: its first component stays.
    """
    if old is None or (old.module, old.qualname) == (new.module, new.qualname):
        return True
    if old.origin.file and (old.origin.file, old.qualname) == (new.origin.file, new.qualname):
        return False
    by = f"{old.provider} ({old.qualname if old.module == new.module else old.module})"
    raise PluginError(f"{new.kind} '{new.name}' is already registered by {by}; choose another name")


_CONTEXTLIB = contextmanager.__code__.co_filename  # whose frame stands between a with block and this module


@contextmanager
def at_authors_line() -> Iterator[None]:
    """Put the file and line from which seqkit is called in front of a refusal of a plugin."""
    try:
        yield
    except PluginError as error:
        raise PluginError(f"{_authors_line()}: {error}") from None


def _authors_line() -> str:
    """Return the file and line from which seqkit is called."""
    frame = sys._getframe()
    while frame.f_back and (
        is_built_in(frame.f_globals.get("__name__", "")) or frame.f_code.co_filename == _CONTEXTLIB
    ):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


@contextmanager
def named(component: Component) -> Iterator[None]:
    """Put a plugin's KIND=NAME, and where it is registered, in front of a refusal of what it made."""
    try:
        yield
    except PluginError as error:
        if not component.place:
            raise
        where = f"{component.kind}={component.name} ({shown(Path(component.place))})"
        raise PluginError(f"{where}: {error}") from error


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


finders: list[Callable[[str, str | None], None]] = []
"""Called with a kind and a name that is not registered, to import what may register it; with None for every name."""


hints: list[Callable[[str], str]] = []
"""Called with a name that nothing registers; returns what to do, a sentence with a space behind it, or nothing."""


def load_built_in() -> None:
    """Import the modules that hold seqkit's own components, and the one that finds plugins."""
    for module in seqkit.BUILT_IN:
        import_module(module)


def components(kind: str) -> dict[str, Component]:
    """Return the components of a kind that are registered so far, by name; no plugin is looked for."""
    load_built_in()
    return _components[kind]


def names(kind: str) -> list[str]:
    """Return all names of a kind, those of installed plugins included, sorted."""
    load_built_in()
    for finder in finders:
        finder(kind, None)
    return sorted(_components[kind])


def plugins() -> list[Component]:
    """Return the registered components that are not seqkit's own."""
    registered = (component for group in _components.values() for component in group.values())
    return [component for component in registered if not is_built_in(component.module)]


def find(kind: str, name: str) -> Component:
    """Return the component ``kind=name``; plugins are looked for where it is not registered yet.

    Raises:
        ConfigError: There is none; the message names the nearest, or how plugins are found, and all.
    """
    if kind not in _components:
        raise unknown("kind of component", kind, KINDS)
    load_built_in()
    if name not in _components[kind]:
        for finder in finders:
            finder(kind, name)
    if name not in _components[kind]:
        raise no_component(kind, name, names(kind), HOW_FOUND)
    return _components[kind][name]


def no_component(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> ConfigError:
    """Build the refusal of a name that nothing registers, as ``unknown``, or by what a plugin's memory has to say."""
    said = next(filter(None, (hint(name) for hint in hints)), "")
    if not said:
        return unknown(kind, name, known, otherwise)
    return ConfigError(f"no {kind} '{shortened(name)}'. {said}Known: {', '.join(sorted(known))}")


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Undo the registrations of the block where it raises, and the imports that made them, to be made anew.

    One plugin may import another: what that has registered comes back when it is loaded itself.
    """
    before = {kind: dict(group) for kind, group in _components.items()}
    modules = set(sys.modules)
    try:
        yield
    except BaseException:
        packages = {component.module.partition(".")[0] for component in plugins()}
        for kind, group in _components.items():
            group.clear()
            group.update(before[kind])
        for name in [name for name in sys.modules if name not in modules and name.partition(".")[0] in packages]:
            del sys.modules[name]
        raise


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
        PluginError: It changes what all of the process shares.
    """
    component, values = _resolve(kind, {"name": config} if isinstance(config, str) else config)
    with left_alone(f"{kind}={component.name}"), named(component):
        return component.factory(*runtime, **values)


def chosen(kind: str, config: Mapping[str, Any] | str) -> Component:
    """Return the component that a config, or just a name, chooses.

    Raises:
        ConfigError: It has no name, or that of no component.
    """
    name = config.get("name") if isinstance(config, Mapping) else config
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{kind} needs a name. Known: {', '.join(names(kind))}")
    return find(kind, name)


def _resolve(kind: str, config: Mapping[str, Any]) -> tuple[Component, dict[str, Any]]:
    component = chosen(kind, config if isinstance(config, Mapping) else {})
    given = {option: value for option, value in config.items() if option != "name"}
    return component, schema.check(component.factory, given, f"{kind}={component.name}")
