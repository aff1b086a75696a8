"""The experiments and components there are, each with its one-line summary."""

import argparse
import json
from importlib.resources import files
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("kind", nargs="?", help="only this kind, such as model or data")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the names and summaries."""
    from seqkit.errors import unknown

    everything = inventory()
    if arguments.kind is not None:
        if arguments.kind not in everything:
            raise unknown("kind of component", arguments.kind, everything)
        everything = {arguments.kind: everything[arguments.kind]}
    if arguments.json:
        print(json.dumps(everything, indent=2))
        return
    width = max(len(name) for group in everything.values() for name in group)
    for kind, group in everything.items():
        print(f"{kind}=")
        for name, summary in group.items():
            print(f"  {name.ljust(width)}  {summary}")


def inventory() -> dict[str, dict[str, str]]:
    """Return, for each kind of component and for experiments, the summary of each name."""
    from seqkit import registry

    found: dict[str, dict[str, str]] = {"experiment": presets("experiment")}
    for kind in registry.KINDS:
        found[kind] = {name: registry.find(kind, name).summary for name in registry.names(kind)}
    found["trainer"] = presets("trainer")
    return found


def preset(group: str, name: str) -> str:
    """Return the text of a preset file."""
    from seqkit.errors import unknown

    if name not in presets(group):
        raise unknown(group, name, presets(group))
    return files("seqkit.conf").joinpath(group, f"{name}.yaml").read_text().rstrip()


def presets(group: str) -> dict[str, str]:
    """Return the first comment line of each preset file of a config group."""
    folder: Any = files("seqkit.conf").joinpath(group)
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            comments = [line[1:].strip() for line in entry.read_text().splitlines() if line.startswith("#")]
            summary = next((line for line in comments if not line.startswith("@")), "")
            found[entry.name.removesuffix(".yaml")] = summary
    return found
