"""The dry run: every part of a training, once, on a few samples, before its first step."""
