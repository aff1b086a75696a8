"""Hydra's own command line, with its sweeps and flags, around jobs of seqkit."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from seqkit.config import Config, check
from seqkit.errors import ConfigError, unknown
from seqkit.hydra_cli.composing import load_named_in, plain, with_plugins
from seqkit.hydra_cli.explaining import PastHydra, explain, past_hydra
from seqkit.hydra_cli.words import flag_words, typed_words
from seqkit.sweeping.sweep import Sweep

SHOW = ("--cfg", "--resolve", "--package")


def hydra_main(arguments: Sequence[str], job: Callable[[Config, list[str]], None], sweep: Sweep) -> None:
    """Run Hydra's own command line: sweeps (``-m``), launchers, ``--cfg job``, ``--help``.

    Args:
        arguments: What follows ``seqkit train``.
        job: Called with the config and its overrides outside a sweep.
        sweep: Opened and run by the launcher in one.

    Raises:
        ConfigError: As ``compose``.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from seqkit.hydra_cli.launching import LAUNCHERS, SWEEP, SweepLauncher, register
    from seqkit.hydra_cli.optuna import OptunaSweeper

    overrides, flags = typed_words(arguments)
    # Hydra's own answer to --cfg job would show what is left out.
    shown = {flag: flags.pop(flag) for flag in SHOW if flag in flags} if flags.get("--cfg") == "job" else None
    ran = False

    def task(config: Any) -> None:
        nonlocal ran
        ran = True
        with past_hydra():
            if shown is not None:
                composed = plain(config, HydraConfig.get(), resolve="--resolve" in shown)
                print(_yaml(composed, shown.get("--package")), end="")
            elif HydraConfig.get().mode == RunMode.MULTIRUN:
                chosen = HydraConfig.get().runtime.choices["hydra/launcher"]
                raise unknown("hydra/launcher", chosen, LAUNCHERS, "others keep no ledger")
            else:
                job(check(plain(config, HydraConfig.get())), list(HydraConfig.get().overrides.task))

    setattr(task, SWEEP, None if shown else sweep)
    main = hydra.main(config_path="pkg://seqkit.conf", config_name="train", version_base="1.3")(task)
    load_named_in(overrides)
    register(SweepLauncher, OptunaSweeper)
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    with TemporaryDirectory(prefix="seqkit-sweep-") as scratch, _logging_kept():
        # Hydra's sweepers leave files of their own; the ledger says all that they do.
        away = [] if "--cfg" in flags or "--info" in flags else [f"hydra.sweep.dir={scratch}"]
        sys.argv = ["seqkit train", *overrides, *away, *flag_words(flags)]
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it finds, for us to rewrite, and prints nothing
        try:
            with_plugins(main, lambda: not ran and not sweep.is_open)
        except PastHydra as carried:
            raise carried.error from carried.error.__cause__
        except Exception as error:
            if full_error or isinstance(error, BrokenPipeError):  # the reader of Hydra's own output has seen enough
                raise
            raise explain(error, overrides) from None
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


def _yaml(config: Config, package: str | None) -> str:
    """Return a config as YAML, or the part of it that ``package`` names."""
    from omegaconf import OmegaConf

    part = OmegaConf.select(OmegaConf.create(config), "" if package in (None, "_global_") else package)
    if part is None:
        raise ConfigError(f"--package {package}: not in the config")
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"
