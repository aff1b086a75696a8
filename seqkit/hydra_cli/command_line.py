"""Hydra's own command line, with its sweeps and flags, around jobs of seqkit."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from seqkit.config import Config, check
from seqkit.errors import ConfigError
from seqkit.hydra_cli.composing import load_named_in, plain, with_plugins
from seqkit.hydra_cli.explaining import explain
from seqkit.hydra_cli.words import flag_words, typed_words

SHOW = ("--cfg", "--resolve", "--package")


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
                print(_yaml(plain(config, current, resolve="--resolve" in shown), shown.get("--package")), end="")
            else:
                job(check(plain(config, current)), number, list(current.overrides.task))
        except Exception as error:
            raise _FromJob(error) from error

    overrides, flags = typed_words(arguments)
    # Hydra's own answer to --cfg job would show what is left out.
    shown = {flag: flags.pop(flag) for flag in SHOW if flag in flags} if flags.get("--cfg") == "job" else None
    load_named_in(overrides)
    # So that Hydra raises what it finds, for us to rewrite, and does not print it.
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["seqkit train", *overrides, *flag_words(flags)], "1"
    try:
        with _logging_kept():
            with_plugins(main, lambda: not ran)
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


def _yaml(config: Config, package: str | None) -> str:
    """Return a config as YAML, or the part of it that ``package`` names."""
    from omegaconf import OmegaConf

    part = OmegaConf.select(OmegaConf.create(config), "" if package in (None, "_global_") else package)
    if part is None:
        raise ConfigError(f"--package {package}: not in the config")
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"
