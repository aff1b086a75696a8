"""The door of configuration: command-line overrides in, one plain, checked, hashed config out.

Hydra and OmegaConf live here and nowhere behind it.
"""

from seqkit.hydra_cli.command_line import hydra_main
from seqkit.hydra_cli.composing import compose, train

__all__ = ["compose", "hydra_main", "train"]
