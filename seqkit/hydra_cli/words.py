"""The words of a command line: overrides and the flags of Hydra, sorted and checked before Hydra sees them."""

from collections.abc import Sequence

from seqkit.config import OPTIONAL
from seqkit.errors import ConfigError, shortened
from seqkit.hydra_cli.meant import meant

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


def typed_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
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
            flags.update([_flag(word, rest, list(overrides.values()))])
            continue
        key = key_of(word)
        if key in overrides:
            raise ConfigError(f"'{key}' is given twice: {overrides[key]} and {word}; give it once")
        overrides[key] = word
    return without_null(list(overrides.values())), flags


def flag_words(flags: dict[str, str]) -> list[str]:
    """Return flags as Hydra wants them: behind the overrides, since it reads no override behind a flag."""
    return [word for flag in flags.items() for word in flag if word]


def _flag(word: str, rest: list[str], before: list[str]) -> tuple[str, str]:
    """Return a flag with its value, which may be the next word.

    Args:
        word: The flag.
        rest: The words after it, the next one last.
        before: Overrides before it.
    """
    name, equals, value = word.partition("=")
    name = SHORT_FLAGS.get(name, name)
    if name not in FLAGS:
        others = [word for word in rest if not word.startswith("-")]
        if not equals and rest and not rest[-1].startswith("-") and "=" not in rest[-1]:
            value = rest.pop()
        right = meant(name, value, [*before, *others]) if value else None
        known = ", ".join(("--fresh", "--exact", "--changed-code", "--json", "-m", *FLAGS))
        raise ConfigError(f"no flag {name}; {f'write {right}' if right else f'Known: {known}'}")
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


def without_null(overrides: Sequence[str]) -> list[str]:
    """Say ``logger=null`` as Hydra wants it said."""
    null = {f"{kind}=null": f"~{kind}" for kind in OPTIONAL}
    return [null.get(text, text) for text in overrides]


def key_of(override: str) -> str:
    """Return what an override is about: "model" or "model.hidden_size"."""
    return override.lstrip("+~").partition("=")[0]
