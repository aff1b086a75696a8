"""The command line: ``seqkit`` and ``python -m seqkit``. Nothing heavy is imported before a command needs it."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from seqkit import __version__, slurm
from seqkit.errors import PluginError, SeqkitError, Stopped, unknown
from seqkit.stopping import REQUEUING, StopRequest, current

if TYPE_CHECKING:
    from seqkit.ranks.heart import End

ON_RANKS = ("train", "resume", "evaluate")
"""Commands that several processes carry out together: rank 0 does, the others follow."""
COMMANDS = {
    "train": "train a model: seqkit train experiment=morse model=gru model.hidden_size=64",
    "resume": "go on with a run that was stopped or killed, bit for bit; or train it longer",
    "runs": "list runs: state, score, steps, age, size",
    "compare": "compare runs or a sweep: ranking, mean and spread over seeds, learning curves",
    "lr-find": "find a learning rate: the loss of a short training while the rate grows",
    "verify-resume": "prove for your config that a killed training goes on exactly",
    "evaluate": "evaluate a run on a split of its data, beside the baselines",
    "backtest": "forecast from several origins in the past, beside the baselines, before trusting a model",
    "predict": "predict for new text, rows or recordings",
    "forecast": "forecast the rows after the end of a file, with their dates",
    "generate": "continue a text with a language model",
    "score": "the loss of each token of a text, coloured by surprise",
    "export": "write a run's network as one file, for onnxruntime or torch",
    "check": "check a component of yours: what its contract demands, one line each",
    "list": "the experiments and components there are",
    "describe": "the options of a component, or what a run is made of",
    "doctor": "what seqkit finds here: versions, devices, compiler, plugins; and what is broken",
    "new": "write a plugin of your own: seqkit new cell foo",
    "completion": "tab completion for bash, zsh and fish",
}


STOPPABLE = ("train", "resume", "backtest")  # commands that a signal stops and that go on later

PLUGIN_HELP = (
    "--plugin NAME, with any command, loads a .py file, a folder or a module first; SEQKIT_PLUGINS names some for all."
)
PLUGIN_TAKES = "--plugin takes a .py file, a folder or a module"


class _Usage(Exception):  # noqa: N818 - what was typed, not an error of ours
    """Wrong usage of a command, in one line."""


class _Parser(argparse.ArgumentParser):
    """Raises wrong usage instead of printing several lines about it."""

    def error(self, message: str) -> NoReturn:
        said = message.replace("the following arguments are required", "required")
        raise _Usage(f"{said}; `{self.prog} --help` says more")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a seqkit command and exit.

    The code is 0 when it worked, 1 on a refusal, 2 on wrong usage, 130 after Ctrl-C, 75 when a training was stopped
    by SIGTERM, SIGUSR1 or the time, to be started again.

    Args:
        arguments: What follows ``seqkit`` on the command line; None takes it from there.
    """
    _refuse_import()
    os.environ.setdefault(
        "TORCH_CPP_LOG_LEVEL", "ERROR"
    )  # a rank that is gone, with stack traces; it is said in one line
    code = run(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # too late to ask for anything; its default action would be a failure
    if "seqkit.ranks.ending" in sys.modules:  # this was one of several ranks
        from seqkit.ranks.ending import leave

        leave(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    if not {*STOPPABLE} & {*arguments}:
        return _run(arguments)
    request = StopRequest()
    request.requeue = "trainer.requeue=false" not in arguments  # until the config is known
    with request.listening():
        try:
            return _run(arguments)
        except Stopped as stopped:
            return _say_stopped(stopped, request)


def _run(arguments: Sequence[str]) -> int:
    """Run a command; what ends it is said in one line."""
    try:
        code = _run_command(*_without_plugins(arguments))
        sys.stdout.flush()  # here, where a reader that is gone is expected
        return code
    except SeqkitError as error:
        print(f"seqkit: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 1
    except _Usage as usage:
        print(f"seqkit: {usage}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("seqkit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, SystemExit) as error:
        from seqkit.faults import fault

        refusal = fault(error)
        if refusal is None or os.environ.get("SEQKIT_TRACEBACK"):
            raise
        print(f"seqkit: {refusal}; SEQKIT_TRACEBACK=1 shows the traceback", file=sys.stderr)
        return 1


def _say_stopped(stopped: Stopped, request: StopRequest) -> int:
    """Requeue the job where that was asked for, say how it goes on, and return the exit code."""
    if os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) != "0":
        return stopped.code  # rank 0 says it
    reason = request.name or stopped.reason  # SIGTERM after SIGUSR1 is final
    on = f"go on with: {stopped.again}" if stopped.again else "before its run was opened; go on with the same command"
    if reason in REQUEUING and request.requeue and slurm.job():
        refusal = slurm.requeue()
        job = f"job {slurm.job()}"
        on = f"{job} is not requeued ({refusal}); {on}" if refusal else f"{job} is requeued and goes on by itself"
    print(f"seqkit: {stopped}; {on}", file=sys.stderr)
    return stopped.code


def _refuse_import() -> None:
    """Refuse to run a command while the module that asks for it is being imported, as a plugin is."""
    caller: FrameType | None = sys._getframe()
    while caller := caller.f_back if caller else None:
        spec = caller.f_globals.get("__spec__")
        if caller.f_code.co_name == "<module>" and getattr(spec, "_initializing", False):
            raise PluginError(
                f"{caller.f_code.co_filename}:{caller.f_lineno}: seqkit.main() runs when this file is imported; "
                "put it under if __name__ == '__main__':"
            )


def _without_plugins(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without each ``--plugin NAME``, which may stand anywhere, and those names."""
    rest: list[str] = []
    plugins: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, name = word.partition("=")
        if flag != "--plugin":
            rest.append(word)
            continue
        name = name if equals else next(words, "")
        if not name:
            raise _Usage(PLUGIN_TAKES)
        plugins.append(name)
    return rest, plugins


def _run_command(arguments: list[str], plugins: list[str]) -> int:
    taken = [plugin for plugin in plugins if plugin in COMMANDS]
    if taken and (not arguments or arguments[0] not in COMMANDS):
        raise _Usage(f"{PLUGIN_TAKES}, not the command '{taken[0]}'")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"seqkit {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    command = import_module(f"seqkit.commands.{name.replace('-', '_')}")
    if plugins:
        from seqkit.plugins import use

        for plugin in plugins:
            use(plugin)
    parser = _Parser(
        f"seqkit {name}",
        description=command.__doc__,
        epilog=PLUGIN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    if getattr(command, "TAKES_OVERRIDES", False):
        known, overrides = parser.parse_known_args(rest)
        known.overrides = overrides
    else:
        known = parser.parse_args(rest)
    if name in ON_RANKS and (found := _started_with_others()):
        return found(lambda: command.run(known))
    return command.run(known) or 0


def _last_words(end: "End") -> None:
    request = current()
    _say_stopped(Stopped(end.signal, end.step, request.folder), request)


def _started_with_others() -> Callable[[Callable[[], int | None]], int] | None:
    """Return how to run a command where srun or torchrun started this process as one of several; None where alone."""
    if not any(name in os.environ for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS")):
        return None
    from seqkit.ranks import place_here
    from seqkit.ranks.ending import exit_code

    place = place_here()
    if place.starter == "nobody":
        return None

    def on_ranks(run: Callable[[], int | None]) -> int:
        from seqkit.ranks.parts import follow, lead

        return exit_code(place, follow) if place.rank else exit_code(place, lambda: lead(run), _last_words)

    return on_ranks


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: seqkit COMMAND ...",
            "",
            "Train recurrent sequence models on text, time series and audio.",
            "",
            "commands:",
            *lines,
            "",
            PLUGIN_HELP,
            "",
            "`seqkit COMMAND --help` explains one; `seqkit list` says what there is to choose from.",
        ]
    )


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which python -m puts there: a stranger's run holds no modules of ours
    main()
