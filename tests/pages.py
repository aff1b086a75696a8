"""The pages of the documentation, and what they name: links, anchors, code, commands, components, options, files."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CLUSTER = ROOT / "docs" / "cluster.md"
PAGES = [README, ROOT / "plugins" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FOR_EXAMPLE = {
    "leaky", "piano_roll", "notes", "quantile", "sentences", "foo", "mine", "mgu", "mogrifier", "mingru", "minlstm", "music",
}  # fmt: skip
"""Names that pages register themselves, or that belong to the plugins in tests/plugins and in plugins."""
OPTIONS_FOR_EXAMPLE = {"model.leak"}


def prose(page: Path) -> str:
    """Return a page without its code: neither fenced nor indented blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"(?<=\n\n)(?: {4}.*\n+)+", "", text)


def links(page: Path) -> list[str]:
    """Return the targets of a page's relative links and images."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not re.match(r"\w+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path, mark: str) -> list[str]:
    """Return the content of the fenced blocks whose info string is ``mark``."""
    return re.findall(rf"^```{mark}\n(.*?)^```", page.read_text(), re.M | re.S)


def unknown_names(text: str) -> set[str]:
    """Return the commands, presets, components and options that a text names and seqkit does not have."""
    from seqkit import registry, schema
    from seqkit.__main__ import COMMANDS
    from seqkit.commands.list import inventory

    known = inventory()
    found = set(re.findall(r"(?:^ {4,}|`|# )seqkit ([a-z][\w-]*)", text, re.M)) - set(COMMANDS)
    for kind, group in known.items():
        named = {name for names in re.findall(rf"\b{kind}=([a-z][\w,]*)", text) for name in names.split(",")}
        found |= {f"{kind}={name}" for name in named - set(group) - FOR_EXAMPLE}
    for kind in registry.KINDS:
        components = [registry.find(kind, name).factory for name in registry.names(kind)]
        options = {f"{kind}.{option.name}" for component in components for option in schema.options(component)}
        found |= set(re.findall(rf"\b{kind}\.[a-z]\w*(?==)", text)) - options - OPTIONS_FOR_EXAMPLE
    return found


def missing_stops(text: str) -> list[str]:
    """Return the stops ``file.py:name`` or ``folder/file.py`` of a text that are not in the package."""
    found = []
    for file, name in re.findall(r"`((?:\w+/)*\w+\.py)(?::([\w.]+))?`", text):
        path = ROOT / "seqkit" / file
        if not name and "/" not in file:
            continue  # not a stop
        *owner, last = name.split(".")
        source = path.read_text() if path.is_file() else ""
        wanted = [rf"^class {part}\b" for part in owner] + ([rf"^ *(?:async )?(?:def|class) {last}\b"] if last else [])
        if not path.is_file() or not all(re.search(pattern, source, re.M) for pattern in wanted):
            found.append(f"{file}:{name}" if name else file)
    return found
