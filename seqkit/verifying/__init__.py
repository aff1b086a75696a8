"""Proof that a training goes on exactly after a kill: run it whole, run it again with kills, compare."""

from seqkit.verifying.exact_resume import KILL, Options, Outcome, Verification
from seqkit.verifying.points import default_points, random_points, with_signals

__all__ = ["KILL", "Options", "Outcome", "Verification", "default_points", "random_points", "with_signals"]
