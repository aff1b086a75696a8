"""Tab completion of commands, options, config groups, names of components, their options, and runs.

bash:  eval "$(seqkit completion bash)"                    in ~/.bashrc
zsh:   eval "$(seqkit completion zsh)"                     in ~/.zshrc, after compinit
fish:  seqkit completion fish | source                     in ~/.config/fish/config.fish
"""

import argparse
import shlex
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from seqkit import commands

RUNS = ("run", "runs")  # names of arguments that are folders of runs
CONFIGS = ("describe", "evaluate")  # commands that take names and options of components, beside those with overrides

BASH = r"""
_seqkit() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" word start
    word="${line##* }"
    start="${word%"${word##*[=:]}"}"  # bash takes what follows = and : for a word of its own
    COMPREPLY=($(seqkit completion --line "$line" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$start"}")
    [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" == *[=./] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _seqkit seqkit
"""
ZSH = r"""
_seqkit() {
    local -a found=("${(@f)$(seqkit completion --line "${BUFFER[1,CURSOR]}" 2>/dev/null)}")
    if [[ -z "${found[1]}" ]]; then _files; return; fi
    local -a open=(${(M)found:#*[=./]}) whole=(${found:#*[=./]})
    (( $#open )) && compadd -S '' -- $open
    (( $#whole )) && compadd -- $whole
}
compdef _seqkit seqkit
"""
FISH = r"""
function __seqkit_complete
    seqkit completion --line (commandline -cp) 2>/dev/null
end
complete -c seqkit -a '(__seqkit_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("shell", nargs="?", choices=tuple(SCRIPTS), help="print the script for this shell")
    wanted.add_argument("--line", help=argparse.SUPPRESS)  # asked by the scripts: what was typed up to the cursor


def run(arguments: argparse.Namespace) -> None:
    """Print the script, or what may follow a line."""
    if arguments.shell:
        print(SCRIPTS[arguments.shell].strip())
        return
    print("\n".join(candidates(arguments.line)))


def candidates(line: str) -> list[str]:
    """Return the words that the last word of a line may become; none where files are meant.

    Args:
        line: What was typed, up to the cursor, from the name of the program on.
    """
    words = _words(line)
    current = "" if not words or line[-1:].isspace() else words.pop()
    given = _without_plugins(words[1:])
    names = sorted(module.name.replace("_", "-") for module in iter_modules(commands.__path__))
    if not given:
        return _starting(current, [*names, "--help", "--version", "--plugin"])
    if given[0] not in names:
        return []
    command = import_module(f"seqkit.commands.{given[0].replace('-', '_')}")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = {name: action for action in parser._actions for name in action.option_strings}
    if current.startswith("-"):
        return _starting(current, sorted(options))
    before = options.get(given[-1])
    if before is not None and before.nargs != 0:
        return _starting(current, map(str, before.choices or ()))
    found: list[str] = []
    for action in parser._actions:
        if not action.option_strings:
            found += _starting(current, map(str, action.choices or ()))
            found += _runs(current) if action.dest in RUNS else []
    if getattr(command, "TAKES_OVERRIDES", False) or given[0] in CONFIGS:
        found += _overrides(current, given[1:])
    return found


def _overrides(current: str, given: Sequence[str]) -> list[str]:
    """Return what an override may become: a group and one of its names, an option and one of its values."""
    from seqkit.report.names import names

    known = names()
    chosen = dict(word.split("=", 1) for word in given if "=" in word)
    key, equals, _ = current.partition("=")
    group, dot, option = key.partition(".")
    options: dict[str, list[str]] = {}
    for component, own in known.get(group, {}).items():
        if chosen.get(group, component) == component:
            options |= own
    if equals:
        values = options.get(option, []) if dot else known.get(group, {})
        return _starting(current, (f"{key}={value}" for value in values))
    if dot:
        return _starting(current, (f"{group}.{name}=" for name in sorted(options)))
    with_options = [name for name, components in known.items() if any(components.values())]
    return _starting(current, [*(f"{name}=" for name in known), *(f"{name}." for name in with_options)])


def _runs(current: str) -> list[str]:
    """Return the folders of runs that begin so: those in ``runs``, and those where the path leads."""
    folder = Path(current if current.endswith("/") else Path(current).parent)
    found = {place.parent for pattern in ("*/config.json", "*/*/config.json") for place in folder.glob(pattern)}
    found |= {place.parent for place in Path("runs").glob("*/*/config.json")}
    return _starting(current, sorted(map(str, found)))


def _starting(current: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(current)]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is open
        return line.replace('"', " ").replace("'", " ").split()


def _without_plugins(words: Sequence[str]) -> list[str]:
    """Return the words without ``--plugin NAME``, which may stand anywhere."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == "--plugin":
            skip = True
        elif not word.startswith("--plugin="):
            kept.append(word)
    return kept
