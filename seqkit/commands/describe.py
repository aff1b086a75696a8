"""Describe a component or a run.

seqkit describe model=gru                        its options, and which backend would run each layer
seqkit describe model=lstm model.zoneout=0.1     the same with options set
seqkit describe runs/NAME/ID                     what a run is made of
"""

import argparse
import json
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("what", help="KIND=NAME, a run's folder or a checkpoint")
    parser.add_argument(
        "options", nargs="*", default=[], metavar="model.OPTION=VALUE", help="options of a model to set"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the description."""
    from seqkit import registry
    from seqkit.commands.list import preset
    from seqkit.errors import ConfigError

    kind, _, name = arguments.what.partition("=")
    if arguments.options and kind != "model":
        raise ConfigError(f"'{arguments.options[0]}': options can be set to describe a model, model=NAME, only")
    if kind == "experiment":
        text = preset(kind, name)
        print(json.dumps({"component": arguments.what, "preset": text}) if arguments.json else text)
        return
    if arguments.what in registry.KINDS:
        known = ", ".join(registry.names(kind))
        raise ConfigError(f"say which {kind}: seqkit describe {kind}=NAME. Known: {known}")
    if "=" in arguments.what:
        found = component(kind, name)
        if kind == "model":
            found["backends"] = _backends(arguments.what, arguments.options)
        print(json.dumps(found, indent=2) if arguments.json else _component_text(found))
        return
    from seqkit.trained import load

    found = load(Path(arguments.what), "cpu").describe()
    print(json.dumps(found, indent=2) if arguments.json else _run_text(found))


def component(kind: str, name: str) -> dict[str, Any]:
    """Return a component's summary and options: name, type, default and explanation of each."""
    from seqkit import registry, schema
    from seqkit.commands.list import presets

    if kind == "trainer" and name in presets("trainer"):
        name = "lightning"  # what every preset sets options of
    found = registry.find(kind, name)
    explained = schema.explanations(found.doc)
    return {
        "component": f"{kind}={name}",
        "summary": found.summary,
        "defined in": found.origin,
        "options": [
            {
                "name": option.name,
                "type": _type_text(option.type),
                "default": "required" if option.required else option.default,
                "explanation": explained.get(option.name, ""),
            }
            for option in schema.options(found.factory)
        ],
    }


def _backends(model: str, overrides: list[str]) -> dict[str, str]:
    """Return which backend would run each layer of a model here, and why."""
    from seqkit.errors import ConfigError
    from seqkit.hydra_cli import compose
    from seqkit.registry import build
    from seqkit.report.facts import backends_in_words

    for override in overrides:
        if not override.startswith("model.") or "=" not in override:
            raise ConfigError(f"'{override}': write model.OPTION=VALUE")
    return backends_in_words(build("model", compose([model, *overrides])["model"], 1))


def _type_text(annotation: Any) -> str:
    """Return a type as a user would say it: ``int above 0``, ``one of mse, mae``."""
    from types import NoneType, UnionType
    from typing import Annotated, Literal, Union, get_args, get_origin

    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, limits = _type_text(inner[0]), [_limit(rule) for rule in inner[1:]]
        return " ".join([base, *filter(None, limits)])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " | ".join("null" if kind is NoneType else _type_text(kind) for kind in inner)
    if origin is tuple:
        return " and ".join(_type_text(kind) for kind in inner)
    if origin is list:
        return f"list of {_type_text(inner[0])}"
    return getattr(annotation, "__name__", str(annotation))


def _limit(rule: Any) -> str:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
    rules = getattr(rule, "metadata", [rule])
    found = [f"{word} {getattr(r, key):g}" for r in rules for key, word in words.items() if hasattr(r, key)]
    return " ".join(found)


def _component_text(found: dict[str, Any]) -> str:
    lines = [f"{found['component']}: {found['summary']}", f"defined in {found['defined in']}", ""]
    kind = found["component"].partition("=")[0]
    for option in found["options"]:
        default = option["default"]
        text = default if default == "required" else json.dumps(default)
        lines.append(f"  {kind}.{option['name']}={text}  ({option['type']})")
        if option["explanation"]:
            lines.append(f"      {option['explanation']}")
    if not found["options"]:
        lines.append("  no options")
    if found.get("backends"):
        lines += ["", "backends in training here:", *(f"  {where}: {why}" for where, why in found["backends"].items())]
    return "\n".join(lines)


def _run_text(found: dict[str, Any], indent: str = "") -> str:
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", _run_text(value, indent + "  ")]
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines.append(f"{indent}{key}: {text if len(text) <= 200 else text[:200] + ' ...'}")
    return "\n".join(lines)
