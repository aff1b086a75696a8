"""Scores of the heads; apart from them, because torchmetrics is slow to import."""
