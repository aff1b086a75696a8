"""Write an installable plugin: a package with a component that trains, and tests that pass before it is changed.

seqkit new cell foo              a recurrent cell, model=foo, in seqkit-foo
seqkit new model foo             a whole model, model=foo
seqkit new head foo              a head on a known task, head=foo
seqkit new data foo              a data set of known kinds, data=foo
seqkit new task foo --path DIR   a task with its head and a data set, data=foo, in DIR/seqkit-foo
"""

import argparse
import os
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

REGISTERS = {
    "cell": ("model",),
    "model": ("model",),
    "head": ("head",),
    "task": ("task", "head", "data"),
    "data": ("data",),
}
"""What each template registers under its name."""

PARTS = ("pyproject.toml", "README.md", "seqkit_example/*.py", "tests/*.py")
"""Files of a template; what an installation or a test leaves beside them is none of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("kind", help=", ".join(REGISTERS))
    parser.add_argument("name", help="name of the component: lower-case letters, digits and _")
    parser.add_argument("--path", default=".", help="folder to write the package into (default: the current one)")


def run(arguments: argparse.Namespace) -> None:
    """Write the package and print the commands of its README, with which to go on."""
    from seqkit.errors import shown

    package = write(arguments.kind, arguments.name, arguments.path)
    print(f"wrote {shown(package)}; go on{'' if arguments.path == '.' else f' in {arguments.path}'} with")
    for command in re.findall(r"^ {4}.*$", (package / "README.md").read_text(), re.M):
        print(command)


def write(kind: str, name: str, path: str) -> Path:
    """Write the package of a new component, whole or not at all, and return its folder.

    Args:
        kind: One of ``REGISTERS``.
        name: Of the component.
        path: Folder to write the package into.

    Raises:
        ConfigError: The name cannot be one or is taken, or the folder cannot be written.
        DataError: There is no folder ``path``.
    """
    from seqkit.errors import ConfigError, unknown
    from seqkit.files import disk_reason, existing_folder

    if kind not in REGISTERS:
        raise unknown("kind of plugin", kind, REGISTERS)
    _check_name(kind, name)
    package = existing_folder(path, "a folder to write the package into").resolve() / _rendered("seqkit-example", name)
    if package.exists():
        raise ConfigError(f"{package} is there already; choose another name, or another folder by --path")
    draft = package.with_name(f".{package.name}.{os.getpid()}.tmp")
    try:
        for place, text in _parts(kind):
            target = draft / _rendered(place, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_rendered(text, name))
        draft.rename(package)
    except OSError as error:
        raise ConfigError(f"{package} cannot be written: {disk_reason(error)}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return package


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that a module or a component cannot have, or that is taken."""
    from seqkit import registry
    from seqkit.errors import ConfigError, shortened

    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name) or iskeyword(name) or name in registry.RESERVED:
        raise ConfigError(
            f"'{shortened(name)}' cannot be the name of a plugin; it must be lower-case letters, digits and _, "
            "starting with a letter, and no keyword of Python or YAML"
        )
    for registered in REGISTERS[kind]:
        if name in registry.names(registered):
            provider = registry.find(registered, name).provider
            raise ConfigError(f"{registered}={name} is there already, from {provider}; choose another name")
    if find_spec(module := _rendered("seqkit_example", name)):
        raise ConfigError(f"a package {module} is installed already; choose another name")


def _parts(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the path in the package and the text of each file of a template."""
    template = Path(str(files("seqkit.templates"))) / kind
    for pattern in PARTS:
        for path in sorted(template.glob(pattern)):
            yield str(path.relative_to(template)), path.read_text()


def _rendered(text: str, name: str) -> str:
    """Return a text of a template with the name in place of ``example``, in each way that it is spelt."""
    spellings = {
        "seqkit-example": f"seqkit-{name.replace('_', '-')}",
        "Example": "".join(word.capitalize() for word in name.split("_")),
        "example": name,
    }
    return re.sub("|".join(spellings), lambda match: spellings[match[0]], text)
