"""Optuna chooses the jobs of a sweep; the ledger is its memory, so that a sweep goes on without a database."""

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from seqkit import registry
from seqkit.config import Config
from seqkit.data.loading import set_up
from seqkit.errors import ConfigError, unknown
from seqkit.hydra_cli.explaining import past_hydra
from seqkit.hydra_cli.launching import SweepLauncher
from seqkit.registry import build
from seqkit.runs.sweep import Job

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {"min": "minimize", "max": "maximize"}
SAMPLERS = ("tpe", "random")


class OptunaSweeper(Sweeper):
    """Chooses each trial from the scores of those before it.

    The choice is a function of the seed, the trial's number and the scores that are known when its batch starts,
    and of nothing else: a sweep that goes on chooses as it would have without the stop.

    Args:
        n_trials: Jobs of the sweep.
        n_jobs: Trials of a batch, all chosen before any of them is run.
        sampler: ``tpe`` (Bergstra et al. 2011) or ``random``.
        n_startup_trials: Trials that ``tpe`` chooses at random.
        seed: Of the sampler.
        direction: Refused if it is not that of the score; null takes that.
        params: Overrides by key; those of the command line come before them.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        sampler: str,
        n_startup_trials: int,
        seed: int,
        direction: str | None,
        params: Mapping[str, Any],
    ) -> None:
        self.n_trials, self.n_jobs, self.sampler, self.seed = n_trials, n_jobs, sampler, seed
        self.n_startup_trials, self.direction, self.params = n_startup_trials, direction, params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        with past_hydra():
            self._check()
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        assert isinstance(launcher, SweepLauncher)
        self._launcher = launcher
        self._parser = OverridesParser.create(config_loader=hydra_context.config_loader)

    def sweep(self, arguments: list[str]) -> None:
        parsed = self._parser.parse_overrides([*(f"{key}={text}" for key, text in self.params.items()), *arguments])
        overrides = {override.key_or_group: override for override in parsed}
        shared = self._launcher.open()
        with past_hydra():
            space = {
                key: _distribution(one, isinstance(OmegaConf.select(shared, key), int))
                for key, one in overrides.items()
                if one.is_sweep_override()
            }
            fixed = [str(one.input_line) for one in overrides.values() if not one.is_sweep_override()]
            if not space:
                raise ConfigError(
                    "hydra/sweeper=optuna has nothing to choose; give an option several values, say "
                    "model=gru,lstm or 'model.hidden_size=interval(32,512)'"
                )
        for start in range(0, self.n_trials, self.n_jobs):
            numbers = range(start, min(start + self.n_jobs, self.n_trials))
            with past_hydra():
                batch = self._choose(numbers, space, fixed)
                if start == 0 and self.direction:
                    self._compare_direction(self._launcher.config_of(0, batch[0]))
            self._launcher.launch(batch, start)

    def _check(self) -> None:
        """Refuse options that cannot work."""
        try:
            import optuna  # noqa: F401 - heavy, and not always installed
        except ImportError:
            raise ConfigError("hydra/sweeper=optuna needs Optuna: pip install 'seqkit[optuna]'") from None
        for name, least in (("n_trials", 1), ("n_jobs", 1), ("n_startup_trials", 0), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"hydra.sweeper.{name}={value}: expected a whole number of at least {least}")
        if self.sampler not in SAMPLERS:
            raise unknown("hydra.sweeper.sampler", self.sampler, SAMPLERS)
        if self.direction not in (None, *DIRECTIONS.values()):
            raise unknown("hydra.sweeper.direction", str(self.direction), DIRECTIONS.values())

    def _choose(self, numbers: range, space: "dict[str, BaseDistribution]", fixed: list[str]) -> list[list[str]]:
        """Return the overrides of a batch of trials; those that the ledger has are as it says."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        known = self._launcher.sweep.ledger.jobs if self._launcher.sweep else {}
        scored = [job for job in known.values() if job.number < numbers.start and job.score is not None]
        study = optuna.create_study(direction=DIRECTIONS[_direction(scored)])
        for job in scored:
            texts = dict(word.partition("=")[::2] for word in job.overrides)
            params = {key: _value(distribution, texts[key]) for key, distribution in space.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=job.score))
        batch = []
        for number in numbers:
            if number in known:
                batch.append(known[number].overrides)
                continue
            study.sampler = self._sampler(number)
            chosen = study.ask(space).params
            batch.append([*fixed, *(f"{key}={chosen[key]}" for key in space)])
        return batch

    def _sampler(self, number: int) -> Any:
        from optuna.samplers import RandomSampler, TPESampler

        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.sampler == "random":
            return RandomSampler(seed)
        return TPESampler(seed=seed, n_startup_trials=self.n_startup_trials, constant_liar=self.n_jobs > 1)

    def _compare_direction(self, config: Config) -> None:
        """Refuse a direction that is not the one of the score, before anything is trained."""
        head = config["head"]
        if head is None:
            data = build("data", config["data"])
            set_up(data)
            head = {"name": data.spec.task.head}
        monitor = getattr(registry.find("head", head["name"]).factory, "monitor", None)
        if monitor and DIRECTIONS[monitor[1]] != self.direction:
            raise ConfigError(
                f"hydra.sweeper.direction={self.direction}, but the score of head={head['name']} is {monitor[0]}, "
                f"which {DIRECTIONS[monitor[1]]} is for; leave the direction out"
            )


def _direction(scored: list[Job]) -> str:
    """Return ``min`` or ``max``, as the jobs say; where there are none yet it does not matter."""
    monitors = [(name, direction, job.number) for job in scored for name, direction in [job.monitor or ("", "min")]]
    for name, direction, number in monitors:
        if (name, direction) != monitors[0][:2]:
            raise ConfigError(
                f"job {number} is scored by {name}, job {monitors[0][2]} by {monitors[0][0]}: "
                "Optuna cannot compare them; sweep over one task at a time"
            )
    return monitors[0][1] if monitors else "min"


def _distribution(override: Override, is_whole: bool) -> "BaseDistribution":
    """Return what Optuna chooses from for a sweep of Hydra's: numbers of an interval or a whole range, else words.

    Args:
        override: ``KEY=SWEEP``.
        is_whole: Whether the option is an integer, for Hydra reads ``interval(32,512)`` as one of floats.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep: Any = override.value()
    if isinstance(sweep, IntervalSweep):
        start, end, log = sweep.start, sweep.end, "log" in sweep.tags
        assert start is not None
        assert end is not None
        if is_whole or isinstance(start, int):
            return IntDistribution(math.ceil(start), math.floor(end), log=log)
        return FloatDistribution(start, end, log=log)
    if isinstance(sweep, RangeSweep) and not sweep.shuffle:
        values = list(sweep.range())
        if all(isinstance(value, int) for value in values):
            return IntDistribution(min(values), max(values), step=abs(int(sweep.step)))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def _value(distribution: "BaseDistribution", text: str) -> str | int | float:
    """Return what ``text`` in an override stands for in a distribution."""
    kind = type(distribution).__name__
    return int(text) if kind == "IntDistribution" else float(text) if kind == "FloatDistribution" else text
