"""The components that seqkit brings, as lines to check."""

from seqkit import registry


def lines(kind: str, *left_out: str) -> list[str]:
    """Return ``KIND=NAME`` of each built-in component of a kind but those that are left out."""
    brought = (name for name in registry.names(kind) if registry.find(kind, name).module.partition(".")[0] == "seqkit")
    return [f"{kind}={name}" for name in brought if name not in left_out]
