"""Errors of Hydra and OmegaConf as one line that names what would be right."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from seqkit import registry, schema
from seqkit.config import CHOICES, unknown_setting
from seqkit.errors import ConfigError, SeqkitError, nearest, shortened
from seqkit.hydra_cli.meant import is_file, meant, readers

TYPES = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false"}  # as OmegaConf names them


class PastHydra(BaseException):
    """Carries an exception past Hydra, which would print its own lines about it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@contextmanager
def past_hydra() -> Iterator[None]:
    """Raise exceptions of ours as ``PastHydra``."""
    try:
        yield
    except Exception as error:
        raise PastHydra(error) from error


def explain(error: Exception, overrides: Sequence[str] = ()) -> SeqkitError:
    """Rewrite an error of Hydra or OmegaConf as one line that names what would be right, by all that was typed."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        known = [option for option in error.options or [] if not option.startswith("_")]
        return _file_as_name(group, name, known, overrides) or registry.no_component(group, name, known)
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override))
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _explain_omegaconf(cause, overrides)
    text = str(error)
    if (match := re.match(r"In '(\w+)/(\w+)'", text)) and isinstance(error.__context__, OmegaConfBaseException):
        return ConfigError(f"{match[1]}={match[2]}: {_explain_omegaconf(error.__context__, overrides)}")
    if match := re.search(r"Ambiguous value for argument '(\S+)'", text):
        return ConfigError(f"{match[1]} gives several values: add -m to train each, or write [a,b] for a list")
    if "Got NoneType" in text:
        return ConfigError("this group takes a name, not null")
    if match := re.search(r"Could not override '([\w/@]+)'", text):
        return _unknown_setting(match[1], overrides)
    return ConfigError(" ".join(text.split()))


def _unknown_setting(key: str, overrides: Sequence[str]) -> ConfigError:
    values = [value for typed, _, value in (word.lstrip("+~").partition("=") for word in overrides) if typed == key]
    return unknown_setting(key, meant(key, values[0] if values else "", overrides))


def _file_as_name(group: str, name: str, known: Sequence[str], overrides: Sequence[str]) -> ConfigError | None:
    """Build the refusal of a file where the name of a component is due; None where it is no file."""
    if not is_file(name) or nearest(name, known) or not readers(group):
        return None
    right = meant(group, name, overrides)
    return ConfigError(
        f"no {group} '{shortened(name)}'. Did you mean '{right}'? These read one: {', '.join(readers(group))}"
    )


def _unreadable(override: str) -> ConfigError:
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[\w.+~/@-]+", key):
        return ConfigError(f"cannot read the override '{shortened(override)}'; write group=name or group.option=value")
    quoted = value.replace("'", "\\'")
    return ConfigError(
        f"cannot read the override '{shortened(override)}'; a value with spaces or signs such as ; ' $ # is quoted "
        f"twice, for the shell and for Hydra: \"{shortened(key)}='{shortened(quoted)}'\""
    )


def _explain_omegaconf(error: Any, overrides: Sequence[str]) -> SeqkitError:
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
        return _unknown_setting(key, overrides)
    if option and group in CHOICES and error.object_type in (None, dict):
        names = ", ".join(registry.names(group))
        return ConfigError(f"{key}: no {group} is chosen yet; name it too, {group}=NAME {key}=VALUE. Known: {names}")
    first = str(error.msg or error).partition("\n")[0]
    if "is not Optional" in first:
        return ConfigError(f"{key} cannot be null")
    if match := re.fullmatch(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", first):
        return ConfigError(f"{key}={match[1]}: not {TYPES.get(match[2], match[2])}")
    return ConfigError(f"{key}: {first[:1].lower()}{first[1:]}" if key else first)
