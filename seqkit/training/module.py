"""The one LightningModule: any network on any data, state carried over batches, RNG and state in the checkpoint."""

import logging
import math
import time
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from seqkit.config import Config
from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import TrainingError
from seqkit.evaluation import MODEL, Scorer, check_monitor
from seqkit.models.backends.choose import use_choices
from seqkit.network import Network, assemble, carry
from seqkit.ranks import group
from seqkit.registry import build
from seqkit.rng import get_rng, seed_rank, set_rng
from seqkit.runs.conditions import conditions, difference_reason
from seqkit.runs.starting import start_from
from seqkit.training.carried import shared_anew
from seqkit.training.diagnosis import kept_graph, part_making_nan
from seqkit.training.loggers import Loggers
from seqkit.training.optimizers import parameter_groups
from seqkit.training.strategy import bits_of

LOG = logging.getLogger("seqkit")


class SequenceModule(pl.LightningModule):
    """Train the network of a config; network, optimizer and schedule are built when Lightning asks for them.

    Args:
        config: Of the run.
        spec: Of the data.
        total_steps: Optimizer steps of the whole training.
        metadata: Plain JSON that lets the checkpoint be used by itself: config, spec, fingerprint of the data, choices
            of backends.
        loggers: Loggers of the metrics; None logs nothing.
        must_be_exact: Refuse to resume if software, device, threads or backends differ from the checkpoint's.
        fresh: Whether the training begins; one that goes on has its weights from the checkpoint.
    """

    network: Network

    def __init__(
        self,
        config: Config,
        spec: DataSpec,
        total_steps: int,
        metadata: dict[str, Any],
        loggers: Loggers | None = None,
        must_be_exact: bool = False,
        fresh: bool = True,
    ) -> None:
        super().__init__()
        self.fresh = fresh
        self.config, self.spec, self.total_steps = config, spec, total_steps
        self.metadata, self.run_loggers, self.must_be_exact = metadata, loggers, must_be_exact
        self.latest: dict[str, float] = {}  # scores of the last validation
        self.seconds = 0.0  # of training and validation, over all starts of the run
        self._group = group()
        self._carried: State | None = None
        self._loaded: dict[str, Any] | None = None

    @property
    def monitor(self) -> tuple[str, str]:
        """Name of the score that decides which checkpoint is best, and "min" or "max"."""
        return self.network.head.monitor

    @property
    def monitored(self) -> float:
        """The last validation's score that decides which checkpoint is best."""
        return self.latest[self.monitor[0]]

    @property
    def validation_is_due(self) -> bool:
        """Whether the interval asks for a validation after this step, which a longer training would have here too.

        One that is made only because the training ends here says nothing to what decides how a longer one goes on.
        """
        return (
            self.global_step % (self.config["trainer"]["val_check_interval"] or self.metadata["steps_per_epoch"]) == 0
        )

    def configure_model(self) -> None:
        if hasattr(self, "network"):
            return
        pl.seed_everything(self.config["seed"], verbose=False)
        with torch.device("cpu"):  # the same initial weights on every device
            self.network = assemble(self.config, self.spec)
            if self.fresh and hasattr(self.network.frontend, "start") and (fact := self.network.frontend.start()):
                LOG.info("frontend: %s", fact)
            if self.config["init_from"] and "init_from" not in self.metadata:  # a run that goes on has its own weights
                self.metadata["init_from"] = start_from(self.network, self.config["init_from"])
        use_choices(self.network.model, self.metadata.get("backends", []))

    def configure_optimizers(self) -> Any:
        optimizer = build("optimizer", self.config["optimizer"], parameter_groups(self.network))
        self._schedule = build("scheduler", self.config["scheduler"], self.total_steps, self.monitor[1])
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        size, trained = (
            sum(parameter.numel() for parameter in self.network.parameters() if parameter.requires_grad or every)
            for every in (True, False)
        )
        LOG.info("%s parameters, %s steps on %s", f"{size:,}", f"{self.total_steps:,}", self.device)
        if frozen := self.config["freeze"]:
            LOG.info(
                "%s: %s of these parameters are trained; the dropout of what is frozen stays as in training",
                f"freeze=[{','.join(frozen)}]",
                f"{trained:,}",
            )
        self._conditions = conditions(self.network, self.device)
        backends = _backends(self._conditions)
        self._group.refuse_if_unequal({"the backends": backends})
        self._from_scratch = self._loaded is None
        if self._loaded is not None:
            LOG.info("going on from step %d", self.global_step)
            differs = difference_reason(self._loaded["conditions"], self._conditions)
            if differs and self.must_be_exact:
                raise TrainingError(f"--exact: the checkpoint was saved under other conditions: {differs}")
            if differs:
                sure = difference_reason(_backends(self._loaded["conditions"]), backends)
                LOG.warning("going on %s exact to the bit: %s", "is not" if sure else "may not be", differs)
        self._before, self._started = self.seconds, time.monotonic()
        if self._loaded is not None:  # restored last: setting up has drawn random numbers
            self._restore(self._loaded["ranks"])
            self._loaded = None
        elif self._group.rank:
            seed_rank(self.config["seed"], self._group.rank, self._group.size)

    def _restore(self, saved: list[dict[str, Any]]) -> None:
        """Put back this rank's generators and carried state, as saved by as many ranks or by others."""
        rank, size = self._group.rank, self._group.size
        carried = [own["carried"] for own in saved]
        if len(saved) == size:
            set_rng(saved[rank]["rng"])
        else:
            LOG.warning(
                "going on with %d ranks instead of %d: not exact to the bit, as other random numbers are drawn; each "
                "sample still comes once in this pass",
                size,
                len(saved),
            )
            carried = shared_anew(carried, size)
            if rank < len(saved):
                set_rng(saved[rank]["rng"])
            else:
                seed_rank(self.config["seed"], rank, size, self.global_step)
        if carried[rank] is not None:
            self._carried = tuple(part.to(self.device) for part in carried[rank])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs, lengths_B, state = self.network(batch, carry(self._carried, batch, self.network.model))
        goes_on = batch.fresh_B is not None and batch.counts
        self._carried = tuple(part.detach() for part in state) if goes_on else None
        if batch_idx == 0 and batch.fresh_B is not None and not state:
            LOG.info("the model carries no state: each chunk of a stream is read by itself")
        total, count = self.network.head.loss(outputs, lengths_B, batch)
        loss, value = self._shared(total, count, batch.counts)
        if self._from_scratch and batch_idx == 0 and not math.isfinite(first := value.item()):
            cause = self._part_making_nan(batch) or "look at the data, whose values may be infinite or too large"
            raise TrainingError(
                f"the training loss is {first} at the first step, before any weight was changed: {cause}"
            )
        accumulated = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if accumulated and (self.global_step + 1) % self.config["trainer"]["log_every_n_steps"] == 0:
            number = value.item()
            if math.isnan(number):
                raise TrainingError(self._nan_reason(batch))
            group = self.optimizers().param_groups[0]  # type: ignore[union-attr]
            rate = group["lr"] / group["factor"] if "factor" in group else group["lr"]
            self.log_metrics({"train/loss": number, "train/lr": rate}, self.global_step + 1)
        return loss

    def _shared(self, total: Tensor, count: Any, counts: bool) -> tuple[Tensor, Tensor]:
        """Return this rank's part of the loss, whose mean over the ranks is the loss, and the loss itself.

        The loss is the sum over all ranks divided by the count over all ranks, so that the gradient does not depend
        on their number; DDP then takes the mean of the gradients.

        Args:
            total: Sum of the losses of this rank's rows.
            count: What it is divided by where it is alone: rows, steps or symbols.
            counts: Whether its rows are its own.
        """
        if self._group.size == 1:
            loss = total / count
            return loss, loss.detach()
        if not counts:
            total, count = total * 0, 0
        both = torch.stack([total.detach().double(), torch.as_tensor(count, device=total.device).double()])
        all_total, all_count = self._group.sum(both)
        return total * (self._group.size / all_count).to(total.dtype), all_total / all_count

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        try:
            super().backward(loss, *args, **kwargs)
        except RuntimeError as error:
            place = kept_graph(self.network)
            if not place or "second time" not in str(error):
                raise
            raise TrainingError(
                f"{place} holds a tensor of the training step before, with its graph; detach it, or return it in the "
                "state"
            ) from error

    def on_validation_start(self) -> None:
        self._scorer = Scorer(self.network, self.spec)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._group.tick()
        self._scorer.update(batch)

    def on_validation_epoch_end(self) -> None:
        self.latest = self._scorer.compute_over_ranks()[MODEL]
        check_monitor(self.network.head, self.latest)
        if math.isnan(self.monitored):
            raise TrainingError(f"{self.monitor[0]} became NaN in validation; lower optimizer.lr, or look at the data")
        if hasattr(self._schedule, "validated") and self.validation_is_due:
            self._schedule.validated(self.monitored)
        self.log_metrics({f"valid/{name}": value for name, value in self.latest.items()}, self.global_step)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:  # type: ignore[override]
        """Log metrics under the number of finished optimizer steps."""
        if self.run_loggers is not None:
            self.run_loggers.log_metrics(metrics, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.run_loggers is not None:
            self.run_loggers.sync()
        if self._group.size > 1:
            self._group.refuse_if_unequal({f"the weights of step {self.global_step}": bits_of(self.network)})
        carried = [part.cpu() for part in self._carried] if self._carried is not None else None
        ranks = self._group.gather({"rng": get_rng(), "carried": carried})
        self.seconds = self._before + time.monotonic() - self._started
        checkpoint["seqkit"] = {
            **self.metadata,
            "conditions": self._conditions,
            "latest": self.latest,
            "seconds": self.seconds,
            "ranks": ranks,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._loaded = saved = checkpoint["seqkit"]
        self.latest, self.seconds = saved["latest"], saved["seconds"]

    def _nan_reason(self, batch: Batch) -> str:
        reason = f"the training loss became NaN by step {self.global_step + 1}"
        floats = [part for part in (batch.inputs, batch.targets) if part is not None and part.is_floating_point()]
        if not all(bool(part.isfinite().all()) for part in floats):
            return f"{reason}: its batch holds values that are not finite; look at the data"
        if part := self._part_making_nan(batch):
            return f"{reason}: {part}"
        return f"{reason}; lower optimizer.lr, or find where with trainer.detect_anomaly=true"

    def _part_making_nan(self, batch: Batch) -> str:
        kind = part_making_nan(self.network, batch)
        return f"{kind} {type(getattr(self.network, kind)).__name__} makes NaN of finite numbers" if kind else ""


def _backends(conditions: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in conditions.items() if name.startswith("layer")}
