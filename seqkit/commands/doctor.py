"""What seqkit finds here: versions, devices, compiler, plugins, wandb, scheduler. Exits 1 where something is broken."""

import argparse
import json
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the environment, and what is broken in it."""
    from seqkit.report.environment import environment

    found = environment()
    print(json.dumps(found, indent=2) if arguments.json else _text(found))
    return 1 if found["problems"] else 0


def _text(found: dict[str, Any]) -> str:
    lines = []
    for key, value in found.items():
        if key == "problems":
            lines += ["", *(f"broken: {problem}" for problem in value)] if value else ["", "nothing is broken"]
        elif key == "plugins":
            lines += ["plugins:" if value else "plugins: none", *(f"  {_plugin(plugin)}" for plugin in value)]
        elif isinstance(value, dict):
            lines += [f"{key}:" if value else f"{key}: none"]
            lines += [f"  {name}: {'none' if inner is None else inner}" for name, inner in value.items()]
        elif isinstance(value, list):
            lines += [f"{key}:", *(f"  {item}" for item in value)]
        else:
            lines.append(f"{key}: {'none' if value is None else value}")
    return "\n".join(lines)


def _plugin(plugin: dict[str, Any]) -> str:
    given = plugin["fault"] or ", ".join([*plugin["components"], *plugin["presets"]]) or "nothing registered"
    return f"{plugin['name']} of {plugin['provider']}, {plugin['seconds']:.3f} s: {given}"
