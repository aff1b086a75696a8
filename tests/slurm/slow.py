"""The adding problem, slow on purpose: SLOW in the environment is seconds per batch, one number per rank."""

import os
import time

import seqkit
from seqkit.data.synthetic import Adding

RANK = int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))
SLOW = [float(seconds) for seconds in os.environ.get("SLOW", "0").split(",")]


@seqkit.register_data("slow_adding")
class SlowAdding(Adding):
    """As ``adding``."""

    def collate(self, samples):
        time.sleep(SLOW[RANK % len(SLOW)])
        return super().collate(samples)
