"""Components that fit together, found by trying them on data sets that can be made without options."""

from typing import Any

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.data.loading import set_up
from seqkit.errors import ConfigError
from seqkit.faults import said
from seqkit.registry import Component
from seqkit.specs import spec_to_json

OUTPUT_SIZE = 8  # of the model that a head is tried on

Names = dict[str, str | list[str] | bool]
"""Names by the kind of component, such as "tasks", and whether a causal model is needed."""


def fits(component: Component, config: dict[str, Any]) -> Names:
    """Return what a component fits, by kind: names of input kinds, tasks, frontends, heads and data sets.

    Tried are the components of seqkit and of the component's own provider.

    Args:
        component: Of any kind; optimizers, schedulers and loggers fit everything, and nothing is returned for them.
        config: Its name and options.

    Raises:
        SeqkitError: It is a data set that cannot be made with these options.
    """
    by_kind = {"data": _of_data, "head": _of_head, "frontend": _of_frontend, "task": _of_task, "inputs": _of_inputs}
    return by_kind[component.kind](component, config) if component.kind in by_kind else {}


def _of_data(component: Component, config: dict[str, Any]) -> Names:
    data = registry.build("data", config)
    set_up(data)
    spec = data.spec
    return {"inputs": _name(spec, "inputs"), "task": _name(spec, "task"), "default frontend": spec.inputs.frontend,
            "default head": spec.task.head}  # fmt: skip


def _of_head(component: Component, config: dict[str, Any]) -> Names:
    specs, fault = _fitting(component, config)
    causal_only = all(_error("head", config, spec, causal=False) for spec in specs.values())
    own: Names = {
        "tasks": _names(specs, "task"),
        "data": list(specs),
        "needs a causal model": bool(specs) and causal_only,
    }
    return own | fault


def _of_frontend(component: Component, config: dict[str, Any]) -> Names:
    specs, fault = _fitting(component, config)
    return {"inputs": _names(specs, "inputs"), "data": list(specs)} | fault


def _of_task(component: Component, config: dict[str, Any]) -> Names:
    return _of_spec(component, "task", "head")


def _of_inputs(component: Component, config: dict[str, Any]) -> Names:
    return _of_spec(component, "inputs", "frontend")


def _of_spec(component: Component, side: str, end: str) -> Names:
    """Return the default end of the network for one side of a data spec, all that fit, and the data that have it."""
    specs = {data: spec for data, spec in _specs(component).items() if _name(spec, side) == component.name}
    names = [other.name for other in _others(component, end)
             if not all(_error(end, {"name": other.name}, spec) for spec in specs.values())]  # fmt: skip
    return {f"default {end}": getattr(component.factory, end), f"{end}s": names, "data": list(specs)}


def _specs(component: Component) -> dict[str, DataSpec]:
    """Return the specs of the data sets to try, by name; those that need options or a download are left out."""
    found = {}
    for other in _others(component, "data"):
        try:
            data = registry.build("data", other.name)
            if hasattr(data, "prepare"):
                continue
            data.setup()
            found[other.name] = data.spec
        except Exception:  # it wants options, or its author's code does not work here: it is not the one described
            continue
    return found


def _others(component: Component, kind: str) -> list[Component]:
    found = registry.components(kind).values()
    return sorted((one for one in found if one.provider in ("seqkit", component.provider)), key=lambda one: one.name)


def _fitting(component: Component, config: dict[str, Any]) -> tuple[dict[str, DataSpec], Names]:
    """Return the specs that a component can be built for; where there is none, also the first error that it raised."""
    specs = _specs(component)
    errors = {data: _error(component.kind, config, spec) for data, spec in specs.items()}
    faults = [f"with data={data} by {said(error)}" for data, error in errors.items()
              if error and not isinstance(error, ConfigError)]  # fmt: skip
    fitting = {data: spec for data, spec in specs.items() if not errors[data]}
    return fitting, {} if fitting or not faults else {"fails": faults[0]}


def _error(kind: str, config: dict[str, Any], spec: DataSpec, causal: bool = True) -> Exception | None:
    """Return a refusal, or what a component raised for a spec that its author did not think of."""
    try:
        registry.build(kind, config, *((spec,) if kind == "frontend" else (OUTPUT_SIZE, spec, causal)))
    except Exception as error:
        return error
    return None


def _name(spec: DataSpec, side: str) -> str:
    return spec_to_json(spec)[side]["name"]


def _names(specs: dict[str, DataSpec], side: str) -> list[str]:
    return sorted({_name(spec, side) for spec in specs.values()})
