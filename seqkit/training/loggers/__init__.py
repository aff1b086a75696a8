"""Loggers beside ``metrics.csv``; their contract is ``seqkit.contracts.components.Logger``."""

from seqkit.training.loggers.guard import Loggers
from seqkit.training.loggers.tensorboard import TensorBoard
from seqkit.training.loggers.wandb import Wandb, offline_reason

__all__ = ["Loggers", "TensorBoard", "Wandb", "offline_reason"]
