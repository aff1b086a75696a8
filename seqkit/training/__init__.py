"""Training through Lightning."""
