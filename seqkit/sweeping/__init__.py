"""Sweeps: their jobs in this process, side by side in processes of their own, or on a cluster. No Hydra."""
