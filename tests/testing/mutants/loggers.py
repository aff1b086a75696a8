"""Broken loggers."""

import json
from pathlib import Path
from typing import Any

import seqkit
from tests.testing.mutants import mutant


class Lines:
    """One line of JSON per call, appended to a file of the run; what the mutants share is right."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.file = (folder / "log.jsonl").open("a")

    def log_metrics(self, metrics, step):
        self.file.write(json.dumps({"step": step, **metrics}) + "\n")

    def finalize(self, status):
        self.file.close()


@mutant("logger", "adds_the_step", "leaves_what_it_is_given_as_it_is", "change a copy", False)
@seqkit.register_logger("adds_the_step")
class AddsTheStep(Lines):
    """The dict is that of metrics.csv too."""

    def log_metrics(self, metrics, step):
        metrics["step"] = step
        super().log_metrics(metrics, step)


@mutant("logger", "empties_the_config", "leaves_what_it_is_given_as_it_is", "the config of the run", False)
@seqkit.register_logger("empties_the_config")
class EmptiesTheConfig(Lines):
    """What it does not want to log is lost to the checkpoints."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        super().__init__(folder, config)
        config.pop("trainer")


@mutant("logger", "writes_anew", "a_resumed_run_keeps_what_was_logged", "replays = True", False)
@seqkit.register_logger("writes_anew")
class WritesAnew(Lines):
    """A resumed run loses what was logged before."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.file = (folder / "log.jsonl").open("w")


@mutant("logger", "new_folder_only", "a_resumed_run_keeps_what_was_logged", "and append", False)
@seqkit.register_logger("new_folder_only")
class NewFolderOnly(Lines):
    """A resumed run finds the folder that it made at its first start."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        (folder / "lines").mkdir()
        super().__init__(folder / "lines", config)


@mutant("logger", "finite_only", "takes_metrics_of_a_step", "not JSON compliant", False)
@seqkit.register_logger("finite_only")
class FiniteOnly(Lines):
    """A perplexity that is infinite at first ends the logging."""

    def log_metrics(self, metrics, step):
        self.file.write(json.dumps({"step": step, **metrics}, allow_nan=False) + "\n")


@mutant("logger", "step_first", "takes_metrics_of_a_step", "log_metrics(", False)
@seqkit.register_logger("step_first")
class StepFirst(Lines):
    """Parameters in an order of its own."""

    def log_metrics(self, step, metrics):
        super().log_metrics(metrics, step)


@mutant("logger", "publishes_scores_only", "takes_the_outcome_of_a_run", "figures, checkpoint", False)
@seqkit.register_logger("publishes_scores_only")
class PublishesScoresOnly(Lines):
    """Publish is given figures and the checkpoint too."""

    def publish(self, report):
        self.log_metrics(report["test"], report["best_step"])


@mutant("logger", "abandon_that_asks", "can_be_abandoned_after_a_fault", "without arguments", False)
@seqkit.register_logger("abandon_that_asks")
class AbandonThatAsks(Lines):
    """Abandon is called without arguments."""

    def abandon(self, status):
        self.file.close()
