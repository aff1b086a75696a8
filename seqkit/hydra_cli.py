"""The door of configuration: command-line overrides in, one plain, checked, hashed config out.

Hydra and OmegaConf live here and nowhere behind it.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import make_dataclass
from functools import cache, partial
from typing import Any, TypeVar

from seqkit import plugins, presets, registry, schema
from seqkit.config import CHOICES, OPTIONAL, Config, Settings, check, unknown_setting
from seqkit.errors import ConfigError, SeqkitError, shortened, unknown

SHORT_FLAGS = {
    "-m": "--multirun",
    "-c": "--cfg",
    "-p": "--package",
    "-i": "--info",
    "-cd": "--config-dir",
    "-cn": "--config-name",
    "-cp": "--config-path",
}
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
# Hydra's own flags with the values that they take: () none, None any. It would take a shortened name too,
# --experiment for --experimental-rerun.
FLAGS: dict[str, tuple[str, ...] | None] = {
    "--multirun": (), "--cfg": ("job", "hydra", "all"), "--resolve": (), "--package": None, "--config-dir": None,
    "--config-name": None, "--config-path": None, "--info": INFO, "--hydra-help": (),
}  # fmt: skip
SHOW = ("--cfg", "--resolve", "--package")
TYPES = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false"}  # as OmegaConf names them


def compose(overrides: Sequence[str]) -> Config:
    """Compose ``conf/train.yaml`` with overrides such as ``model=gru`` into a checked config.

    Raises:
        ConfigError: An override names or holds something wrong; one line.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from omegaconf import OmegaConf

    def composed() -> Any:
        with initialize_config_module("seqkit.conf", version_base="1.3"):
            config = hydra_compose("train", overrides=_without_null(overrides), return_hydra_config=True)
            OmegaConf.set_struct(config, False)
            return _plain(config, config.pop("hydra"))

    _load_named_in(overrides)
    try:
        config = _with_plugins(composed)
    except SeqkitError:
        raise
    except Exception as error:
        raise explain(error) from None
    return check(config)


def train(overrides: Sequence[str] = (), fresh: bool = False) -> dict[str, Any]:
    """Train one run and return its report, as ``seqkit train`` does.

    Args:
        overrides: As on the command line: ``["experiment=adding", "model.hidden_size=64"]``.
        fresh: Start over where the run's id exists already.

    Returns:
        What ``report.json`` holds: the run's folder, scores, baselines, hashes, versions.

    Raises:
        SeqkitError: Something in the overrides or the data cannot work.
    """
    from seqkit import experiment

    return experiment.train(compose(overrides), fresh)


def hydra_main(arguments: Sequence[str], job: Callable[[Config, str, list[str]], None]) -> None:
    """Run Hydra's own command line: sweeps (``-m``), launchers, ``--cfg job``, ``--help``.

    Args:
        arguments: What follows ``seqkit train``.
        job: Called for each job with its config, its number in the sweep ("" outside one) and its overrides.

    Raises:
        ConfigError: As ``compose``.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    ran = False

    @hydra.main(config_path="pkg://seqkit.conf", config_name="train", version_base="1.3")
    def main(config: Any) -> None:
        nonlocal ran
        ran = True
        current = HydraConfig.get()
        number = str(current.job.num) if current.mode == RunMode.MULTIRUN else ""
        try:
            if shown is not None:
                print(_yaml(_plain(config, current, resolve="--resolve" in shown), shown.get("--package")), end="")
            else:
                job(check(_plain(config, current)), number, list(current.overrides.task))
        except Exception as error:
            raise _FromJob(error) from error

    overrides, flags = _typed_words(arguments)
    # Hydra's own answer to --cfg job would show what is left out.
    shown = {flag: flags.pop(flag) for flag in SHOW if flag in flags} if flags.get("--cfg") == "job" else None
    _load_named_in(overrides)
    # So that Hydra raises what it finds, for us to rewrite, and does not print it.
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["seqkit train", *overrides, *_flag_words(flags)], "1"
    try:
        with _logging_kept():
            _with_plugins(main, lambda: not ran)
    except _FromJob as carried:
        raise carried.error from carried.error.__cause__
    except Exception as error:
        if full_error or isinstance(error, BrokenPipeError):  # the reader of Hydra's own output has seen enough
            raise
        raise explain(error) from None
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR") if full_error is None else os.environ.update(HYDRA_FULL_ERROR=full_error)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Leave logging as it is: Hydra would silence every logger that it does not know, for good."""
    root, own = logging.getLogger(), logging.getLogger("seqkit")
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
        own.disabled = False


class _FromJob(BaseException):
    """Carries an exception of a job past Hydra, which would print its own lines about it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _plain(composed: Any, hydra: Any, resolve: bool = True) -> Config:
    """Return what Hydra composed as plain JSON, less the options of presets that the chosen components lack.

    Args:
        composed: Without Hydra's own part, which is ``hydra``.
        hydra: It holds the overrides and the choices that they led to.
        resolve: Replace interpolations by their values, and refuse missing ones.

    Raises:
        ConfigError: As ``presets.leave_out``, or a value is missing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        config: Any = OmegaConf.to_container(composed, resolve=resolve, throw_on_missing=resolve)
    except OmegaConfBaseException as error:
        raise explain(error) from None
    overrides = [*hydra.overrides.hydra, *hydra.overrides.task]
    typed = {".".join(_key(text).split(".")[:2]) for text in overrides}

    for text in hydra.overrides.task:
        if text.startswith("~") and "." in _key(text):
            raise ConfigError(f"{text}: an option cannot be taken away; give it a value, {_key(text)}=VALUE")

    def own_name(kind: str) -> str | None:
        others = [text for text in overrides if _key(text).partition(".")[0] != kind]
        return _chosen(str(hydra.job.config_name), others, kind)

    for line in presets.leave_out(config, typed, f"experiment={hydra.runtime.choices.get('experiment')}", own_name):
        print(f"seqkit: {line}", file=sys.stderr)
    return config


def _chosen(config_name: str, overrides: list[str], kind: str) -> str | None:
    """Return the name of the component that overrides lead to, inside Hydra's compose or one of its jobs."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    loader = GlobalHydra.instance().config_loader()
    try:
        composed = loader.load_configuration(config_name, overrides, RunMode.RUN, from_shell=False)
    except Exception as error:
        raise explain(error) from None
    return OmegaConf.select(composed, f"{kind}.name")


def _key(override: str) -> str:
    """Return what an override is about: "model" or "model.hidden_size"."""
    return override.lstrip("+~").partition("=")[0]


def _without_null(overrides: Sequence[str]) -> list[str]:
    """Say ``logger=null`` as Hydra wants it said."""
    null = {f"{kind}=null": f"~{kind}" for kind in OPTIONAL}
    return [null.get(text, text) for text in overrides]


def _typed_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the overrides and the flags that a person typed, each flag with its value, which may be empty.

    Raises:
        ConfigError: A flag that Hydra does not have, or a key given twice, of which Hydra would take the last.
    """
    overrides: dict[str, str] = {}
    flags: dict[str, str] = {}
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word.startswith("-"):
            flags.update([_flag(word, rest)])
            continue
        key = _key(word)
        if key in overrides:
            raise ConfigError(f"'{key}' is given twice: {overrides[key]} and {word}; give it once")
        overrides[key] = word
    return _without_null(list(overrides.values())), flags


def _flag_words(flags: dict[str, str]) -> list[str]:
    """Return flags as Hydra wants them: behind the overrides, since it reads no override behind a flag."""
    return [word for flag in flags.items() for word in flag if word]


def _flag(word: str, rest: list[str]) -> tuple[str, str]:
    """Return a flag with its value, which may be the next word; ``rest`` are the words after it, the next one last."""
    name, equals, value = word.partition("=")
    name = SHORT_FLAGS.get(name, name)
    if name not in FLAGS:
        bare = name.lstrip("-")
        known = ", ".join(("--fresh", "--exact", "--changed-code", "--json", "-m", *FLAGS))
        raise ConfigError(f"no flag {name}; {f'write {bare}={value}' if value else f'Known: {known}'}")
    choices = FLAGS[name]
    if choices == ():
        if equals:
            raise ConfigError(f"{name} takes no value")
        return name, ""
    if not equals and rest and (choices is None or rest[-1] in choices or ("=" not in rest[-1] and name != "--info")):
        value = rest.pop()
    if name == "--info" and not value:
        value = "all"
    if not value or (choices is not None and value not in choices):
        what = f"one of {', '.join(choices)}" if choices else "a value"
        raise ConfigError(f"{name} takes {what}{f', not {shortened(value)}' if value else ''}")
    return name, value


def _yaml(config: Config, package: str | None) -> str:
    """Return a config as YAML, or the part of it that ``package`` names."""
    from omegaconf import OmegaConf

    part = OmegaConf.select(OmegaConf.create(config), "" if package in (None, "_global_") else package)
    if part is None:
        raise ConfigError(f"--package {package}: not in the config")
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"


def _load_named_in(overrides: Sequence[str]) -> None:
    """Load the plugins of the components and presets that overrides name, as far as they are not there yet."""
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        if group not in (*CHOICES, "experiment"):
            continue
        for name in re.findall(r"[^\W\d]\w*", value):  # in model=a,b, in model=[a,b] and in model=choice(a,b)
            is_there = partial(_is_there, group, name)
            if name != "null" and not is_there():
                plugins.search(name, is_there)


def _is_there(group: str, name: str) -> bool:
    """Whether a component or preset is there without loading another plugin."""
    return (group in CHOICES and name in registry.components(group)) or name in presets.summaries(group)


Composed = TypeVar("Composed")


def _with_plugins(compose_it: Callable[[], Composed], may_again: Callable[[], bool] = lambda: True) -> Composed:
    """Compose; where a config is missing, compose once more with all plugins loaded, since a preset may name it."""
    from hydra.errors import MissingConfigException

    _register_preset_folders()
    _store_nodes()
    try:
        return compose_it()
    except MissingConfigException:
        if not may_again() or not plugins.load_all():
            raise
    _store_nodes()
    return compose_it()


@cache
def _register_preset_folders() -> None:
    """Let Hydra search the presets of the plugins that are loaded when it composes."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class PresetFolders(SearchPathPlugin):
        def manipulate_search_path(self, search_path: Any) -> None:
            for provider, folder in plugins.preset_folders().items():
                search_path.append(provider, f"file://{folder}")

    Plugins.instance().register(PresetFolders)


def _store_nodes() -> None:
    """Put a typed node for every registered component into Hydra's ConfigStore."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    groups = [(kind, Any, None) for kind in CHOICES]
    store.store(name="settings", node=make_dataclass("settings", groups, bases=(schema.node("own", Settings),)))
    for kind in CHOICES:
        for name, component in registry.components(kind).items():
            # Open to unknown options, which presets may have for another component; `_plain` leaves out or refuses.
            node = OmegaConf.structured(schema.node(name, component.factory, {"name": name}), flags={"struct": False})
            store.store(group=kind, name=name, node=node)


def explain(error: Exception) -> SeqkitError:
    """Rewrite an error of Hydra or OmegaConf as one line that names what would be right."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, [option for option in error.options or [] if not option.startswith("_")])
    if isinstance(error, OverrideParseException):
        return _unreadable_override(str(error.override))
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _explain_omegaconf(cause)
    text = str(error)
    if (match := re.match(r"In '(\w+)/(\w+)'", text)) and isinstance(error.__context__, OmegaConfBaseException):
        return ConfigError(f"{match[1]}={match[2]}: {_explain_omegaconf(error.__context__)}")
    if match := re.search(r"Ambiguous value for argument '(\S+)'", text):
        return ConfigError(f"{match[1]} gives several values: add -m to train each, or write [a,b] for a list")
    if "Got NoneType" in text:
        return ConfigError("this group takes a name, not null")
    if match := re.search(r"Could not override '([\w/@]+)'", text):
        return unknown_setting(match[1])
    return ConfigError(" ".join(text.split()))


def _unreadable_override(override: str) -> ConfigError:
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[\w.+~/@-]+", key):
        return ConfigError(f"cannot read the override '{shortened(override)}'; write group=name or group.option=value")
    quoted = value.replace("'", "\\'")
    return ConfigError(
        f"cannot read the override '{shortened(override)}'; a value with spaces or signs such as ; ' $ # is quoted "
        f"twice, for the shell and for Hydra: \"{shortened(key)}='{shortened(quoted)}'\""
    )


def _explain_omegaconf(error: Any) -> SeqkitError:
    from omegaconf.errors import MissingMandatoryValue

    key = str(error.full_key or error.key or "")
    group, _, option = key.partition(".")
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(f"{key} is required; say {key}=VALUE")
    kind = getattr(error.object_type, "__name__", "")
    if error.object_type is not None and hasattr(error.object_type, "__dataclass_fields__") and option:
        known = [name for name in error.object_type.__dataclass_fields__ if name != "name"]
        if option not in known:
            return schema.unknown_option(registry.find(group, kind).factory, option, f"{group}={kind}")
    if not option and kind == "settings" and f"'{key}' not in" in str(error):
        return unknown_setting(key)
    if option and group in CHOICES and error.object_type in (None, dict):
        names = ", ".join(registry.names(group))
        return ConfigError(f"{key}: no {group} is chosen yet; name it too, {group}=NAME {key}=VALUE. Known: {names}")
    first = str(error.msg or error).partition("\n")[0]
    if "is not Optional" in first:
        return ConfigError(f"{key} cannot be null")
    if match := re.fullmatch(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", first):
        return ConfigError(f"{key}={match[1]}: not {TYPES.get(match[2], match[2])}")
    return ConfigError(f"{key}: {first[:1].lower()}{first[1:]}" if key else first)
