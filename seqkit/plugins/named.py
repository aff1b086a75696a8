"""Plugins that the user names: by ``--plugin``, and in the environment variable ``SEQKIT_PLUGINS``."""

import os
import sys
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from seqkit.distributions import holds_installed, package_of
from seqkit.errors import PluginError, shortened
from seqkit.plugins import memory
from seqkit.plugins.loading import load, loaded, warn
from seqkit.plugins.record import Plugin
from seqkit.plugins.source import from_source

VARIABLE = "SEQKIT_PLUGINS"


def use(name: str) -> None:
    """Load what a user names, and let the processes that this one starts load it too.

    Args:
        name: A .py file, a folder (a package, or one with .py files) or the name of a module.

    Raises:
        PluginError: There is no such file, or its import fails.
    """
    files = _files(name)
    for key in [key for key, plugin in loaded.items() if plugin.fault and not plugin.distribution]:
        del loaded[key]  # in a notebook it may have been mended
    lasting = name if files is None else str(Path(name).expanduser().absolute())  # in any folder, for other processes
    for plugin in _load(lasting, files):
        if plugin.fault:
            raise PluginError(f"--plugin {name}: {plugin.fault}")
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    os.environ[VARIABLE] = os.pathsep.join(filter(None, dict.fromkeys([*named, lasting])))


def load_named() -> None:
    """Load what ``SEQKIT_PLUGINS`` names; a fault is one warning."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        before = set(loaded)
        try:
            plugins = _load(name, _files(name))
        except PluginError as error:
            loaded.setdefault(f":{name}", Plugin(name, fault=str(error)))
            plugins = [loaded[f":{name}"]]
        for plugin in plugins:
            if plugin.fault and f":{plugin.name}" not in before:
                warn(plugin)


def load_file(file: Path) -> Plugin:
    """Load a module by its file, under the name that an import of it from its own folder would give it."""
    return load(Plugin(str(file), file=str(file)), lambda: _import_file(file))


def _load(name: str, files: list[Path] | None) -> list[Plugin]:
    """Load the module of a name, or the files that it stands for, and remember those that this worked for."""
    plugins = (
        [load(Plugin(name), lambda: import_module(name))] if files is None else [load_file(file) for file in files]
    )
    for plugin in plugins:
        if plugin.file and not plugin.fault:
            memory.remember(Path(plugin.file).resolve())
    return plugins


def _files(name: str) -> list[Path] | None:
    """Return the files that a name stands for; None where it is that of a module."""
    place = Path(name).expanduser()
    if place.is_dir():
        if (place / "__init__.py").is_file():
            return [(place / "__init__.py").absolute()]
        files = sorted(place.absolute().glob("*.py"))
        if files:
            return files
        packages = sorted(file.parent for file in place.glob("*/__init__.py") if file.parent.name != "tests")
        named = f", or its package named: --plugin {packages[0]}" if packages else ""
        installed = f"a project is installed by `pip install -e {place}`{named}"
        raise PluginError(f"{place}: this folder holds no .py file; {installed}")
    if place.suffix == ".py" or os.sep in name:
        if not place.is_file():
            raise PluginError(f"{shortened(place)}: no such file{'' if place.suffix == '.py' else ' or folder'}")
        if place.suffix != ".py":
            raise PluginError(f"{place}: is no .py file")
        return [place.absolute()]
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(f"'{shortened(name)}' is no file, folder or module")
    return None


def _import_file(file: Path) -> ModuleType:
    """Import a file from its own folder, which goes last on the path: other processes find the module there too."""
    package = package_of(file)
    parts = file.relative_to(package.parent).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(f"{file}: a module's name has letters, digits and _ only; rename the file")
    if str(package.parent) not in sys.path:
        sys.path.append(str(package.parent))
    if not holds_installed(package.parent):
        from_source(package.parent)
    invalidate_caches()
    first = name.partition(".")[0]
    expected = package / "__init__.py" if package.is_dir() else package
    taken = _file_of(first)
    if taken is None or taken.resolve() != expected.resolve():
        raise PluginError(f"{file}: '{first}' is the name of another module ({taken or 'built in'}); rename the file")
    return import_module(name)


def _file_of(module: str) -> Path | None:
    """Return the file that a top-level module has, or would have; None for one that is built in."""
    if module in sys.builtin_module_names:
        return None
    spec = PathFinder.find_spec(module)
    file = getattr(sys.modules[module], "__file__", None) if module in sys.modules else spec and spec.origin
    return Path(file) if file else None
