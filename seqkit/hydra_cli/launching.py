"""The launchers of a sweep: Hydra composes each job here, and a runner of ours trains it; the job never sees Hydra."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from seqkit import presets
from seqkit.config import Config, check
from seqkit.errors import SeqkitError
from seqkit.hydra_cli.composing import plain
from seqkit.hydra_cli.explaining import explain, past_hydra
from seqkit.sweeping.cluster import Submitit
from seqkit.sweeping.runners import Here, Processes, Runner
from seqkit.sweeping.sweep import Sweep

LAUNCHERS: dict[str, Callable[..., Runner]] = {
    "serial": Here,
    "local": Processes,
    "submitit_local": lambda **options: Submitit("local", options),
    "submitit_slurm": lambda **options: Submitit("slurm", options),
}

SWEEP = "sweep"
"""Attribute of the task function, which is all of ours that Hydra hands to its plugins."""


class SweepLauncher(Launcher):
    """Gives the jobs of a sweep to a runner.

    Args:
        name: One of ``LAUNCHERS``.
        options: Of its runner.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._name, self._options = name, {key: _plain(value) for key, value in options.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._loader, self._config, self._task = hydra_context.config_loader, config, task_function
        self.sweep = sweep_of(task_function)
        with past_hydra():
            self._runner = LAUNCHERS[self._name](**self._options)

    def open(self) -> DictConfig:
        """Open the ledger in the place that the overrides shared by all jobs lead to, and return their config."""
        setup_globals()
        parsed = OverridesParser.create().parse_overrides(list(self._config.hydra.overrides.task))
        shared = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
        base = self._loader.load_sweep_config(self._config, shared)
        if self.sweep:
            with past_hydra():
                self.sweep.open(base.runs, base.id)
        return base

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        if self.sweep is None or not self.sweep.is_open:
            self.open()
        jobs = [(number, list(overrides)) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        if self.sweep is None:
            for number, overrides in jobs:
                self._task(self._composed(number, overrides))
            return [_returned(None) for _ in jobs]
        with past_hydra():
            return [_returned(job.score) for job in self.sweep.run(jobs, self.config_of, self._runner)]

    def _composed(self, number: int, overrides: list[str]) -> DictConfig:
        """Return the config of a job without Hydra's part, which ``HydraConfig`` has."""
        config = self._loader.load_sweep_config(self._config, overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            HydraConfig.instance().set_config(config)
            del config["hydra"]
        return config

    def config_of(self, number: int, overrides: list[str]) -> Config:
        """Return the checked config of a job.

        Raises:
            ConfigError: As ``compose``.
        """
        try:
            return check(plain(self._composed(number, overrides), HydraConfig.get()))
        except SeqkitError:
            raise
        except Exception as error:
            raise explain(error) from None


def sweep_of(task_function: TaskFunction) -> Sweep | None:
    """Return the sweep that a task function stands for; None where configs are only shown."""
    sweep = getattr(task_function, SWEEP, None)
    assert sweep is None or isinstance(sweep, Sweep)
    return sweep


def register(*own: type[Plugin]) -> None:
    """Let Hydra build plugins of ours as ``hydra_plugins.seqkit.NAME``, and take our presets of launchers and sweepers.

    It takes plugins of packages called ``hydra_plugins`` only, each of which every Hydra program on a machine imports.
    One of these may have a preset of the same name (hydra-submitit-launcher, hydra-optuna-sweeper), with which Hydra
    would merge ours.
    """
    found = Plugins.instance()
    for plugin in own:
        found.class_name_to_class[f"hydra_plugins.seqkit.{plugin.__name__}"] = plugin
    for group, others in ConfigStore.instance().repo["hydra"].items():
        if isinstance(others, dict):
            for preset in presets.summaries(f"hydra/{group}"):
                others.pop(f"{preset}.yaml", None)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _returned(score: float | None) -> JobReturn:
    job = JobReturn(status=JobStatus.COMPLETED)
    job.return_value = score
    return job
