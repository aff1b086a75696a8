"""All that is on disk about runs: folders, checkpoints, metrics."""
