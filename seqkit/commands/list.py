"""The experiments and components there are: name, provider, one line each. Installed plugins are loaded."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("kind", nargs="?", help="only this kind, such as model or data")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print names, providers and summaries."""
    from seqkit.errors import unknown

    everything = inventory()
    if arguments.kind is not None:
        if arguments.kind not in everything:
            raise unknown("kind of component", arguments.kind, everything)
        everything = {arguments.kind: everything[arguments.kind]}
    if arguments.json:
        print(json.dumps(everything, indent=2))
        return
    rows = [(name, entry["provider"]) for group in everything.values() for name, entry in group.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for kind, group in everything.items():
        print(f"{kind}=")
        for name, entry in group.items():
            print(f"  {name.ljust(widths[0])}  {entry['provider'].ljust(widths[1])}  {entry['summary']}")


def inventory() -> dict[str, dict[str, dict[str, str]]]:
    """Return summary and provider of each name, by kind; experiments and the presets of trainers included."""
    from seqkit import plugins, presets, registry

    plugins.found()  # loads them
    found: dict[str, dict[str, dict[str, str]]] = {}
    for kind in ("experiment", *registry.KINDS, *registry.SPEC_KINDS):
        if kind in ("experiment", "trainer"):
            entries = presets.summaries(kind)
        else:
            components = sorted(registry.components(kind).items())
            entries = {name: (component.summary, component.provider) for name, component in components}
        found[kind] = {
            name: {"provider": provider, "summary": summary} for name, (summary, provider) in entries.items()
        }
    return found
