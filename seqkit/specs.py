"""Data specs as JSON: their input kind, task and tokenizer by registered names."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, PluginError, shortened


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """Return a data spec as plain dicts, lists, strings and numbers, its kinds by their registered names."""
    return {side: _to_json(getattr(spec, side)) for side in ("inputs", "task")}


def parts_of(spec: DataSpec) -> list[tuple[str, str]]:
    """Return kind and name of each component that a data spec is made of."""

    def walk(value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict) and "kind" in value:
            yield value["kind"], value["name"]
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from walk(inner)

    return list(walk(spec_to_json(spec)))


def spec_from_json(data: Any) -> DataSpec:
    """Rebuild the spec that ``spec_to_json`` wrote.

    Raises:
        ConfigError: A kind is not registered here, or the content is not that of a spec.
    """
    try:
        inputs, task = _from_json(dict(data["inputs"]), ("inputs",)), _from_json(dict(data["task"]), ("task",))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{type(error).__name__} {' '.join(str(error).split())}") from None
    return DataSpec(inputs, task)


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


def component_of(value: Any) -> registry.Component:
    """Return the component that a value of a data spec is built by: its input kind, task or tokenizer.

    Raises:
        PluginError: There is none.
    """
    for kind in registry.SPEC_KINDS:
        for component in registry.components(kind).values():
            if component.factory is type(value):
                return component
    raise PluginError(
        f"{type(value).__name__} is in a data spec and not registered as one of {', '.join(registry.SPEC_KINDS)}"
    )


def _from_json(value: Any, kinds: Sequence[str] = registry.SPEC_KINDS) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    kind, name = value["kind"], value["name"]
    if kind not in kinds:  # a stranger's checkpoint builds nothing else
        raise ConfigError(f"{shortened(kind)} '{shortened(name)}' stands where {' or '.join(kinds)} belongs")
    values = {key: _from_json(item) for key, item in value.items() if key not in ("kind", "name")}
    return registry.find(kind, name).factory(**values)
