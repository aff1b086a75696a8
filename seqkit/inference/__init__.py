"""Inference with trained networks: prediction, generation, streaming."""
