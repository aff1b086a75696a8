"""Describe a component or a run.

seqkit describe model=gru                        equations, options, parameters, the backend of each layer
seqkit describe model=lstm model.zoneout=0.1     the same with options set
seqkit describe head=classify                    its options, and the tasks and data that it fits
seqkit describe runs/NAME/ID                     what a run is made of
"""

import argparse
import json
from pathlib import Path
from textwrap import indent
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("what", help="KIND=NAME, a run's folder or a checkpoint")
    parser.add_argument("options", nargs="*", default=[], metavar="KIND.OPTION=VALUE", help="its options to set")
    parser.add_argument("--input-size", type=int, default=64, help="input size of a model (default: 64)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the description."""
    from seqkit import presets, registry
    from seqkit.errors import ConfigError

    what, overrides = arguments.what, arguments.options
    kind, equals, name = what.partition("=")
    if arguments.input_size < 1:
        raise ConfigError(f"--input-size {arguments.input_size}: must be 1 or more")
    if overrides and kind not in registry.KINDS:
        raise ConfigError(f"'{overrides[0]}': options can be set to describe one of {', '.join(registry.KINDS)} only")
    if what in (*registry.KINDS, *registry.SPEC_KINDS):
        raise ConfigError(f"say which {what}: seqkit describe {what}=NAME. Known: {', '.join(registry.names(what))}")
    if kind == "experiment":
        text = presets.text(kind, name)
        print(json.dumps({"component": what, "preset": text}) if arguments.json else text)
    elif equals:
        from seqkit.report.component import describe

        if kind == "trainer" and name in presets.summaries("trainer"):
            name = "lightning"  # the component that every preset sets options of
        found = describe(kind, name, _config(kind, what, overrides), arguments.input_size)
        print(json.dumps(found, indent=2) if arguments.json else _component_text(kind, found))
    else:
        from seqkit.trained import load

        found = load(Path(what), "cpu").describe()
        print(json.dumps(found, indent=2) if arguments.json else _run_text(found))


def _config(kind: str, what: str, overrides: list[str]) -> dict[str, Any] | None:
    """Return the config of a component with the options that the user sets; None where he sets none."""
    from seqkit.errors import ConfigError

    for override in overrides:
        if not override.startswith(f"{kind}.") or "=" not in override:
            raise ConfigError(f"'{override}': write {kind}.OPTION=VALUE")
    if not overrides:
        return None
    from seqkit.hydra_cli import compose

    return compose([what, *overrides])[kind]


def _component_text(kind: str, found: dict[str, Any]) -> str:
    from seqkit import registry
    from seqkit.errors import shown

    lines = [f"{found['component']}: {found['summary']}", f"from {found['provider']}, {shown(Path(found['file']))}"]
    if found["text"]:
        lines += ["", indent(found["text"], "  ")]
    of_spec = kind in registry.SPEC_KINDS
    title = "fields, set by the data set:" if of_spec else "options:"
    lines += ["", title if found["options"] else "no options"]
    for option in found["options"]:
        default = option["default"]
        text = default if default == "required" else json.dumps(default, default=str)
        name = option["name"] if of_spec else f"{kind}.{option['name']}"
        lines.append(f"  {name}={text}  ({option['type']})")
        if option["explanation"]:
            lines.append(f"      {option['explanation']}")
    if found["fits"]:
        lines += ["", "fits:", *(f"  {what}: {_words(names)}" for what, names in found["fits"].items())]
    if "parameters" in found:
        causal = "causal" if found["causal"] else "not causal"
        sizes = f"output size {found['output size']}, {found['parameters']:,} parameters, {causal}"
        lines += ["", f"at input size {found['input size']}: {sizes}"]
    if found.get("backends"):
        lines += ["", "backends in training here:", *(f"  {where}: {why}" for where, why in found["backends"].items())]
    return "\n".join(lines)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else ", ".join(value) or "none that was tried"


def _run_text(found: dict[str, Any], margin: str = "") -> str:
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines += [f"{margin}{key}:", _run_text(value, margin + "  ")]
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines.append(f"{margin}{key}: {text if len(text) <= 200 else text[:200] + ' ...'}")
    return "\n".join(lines)
