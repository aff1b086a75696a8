"""Numbers and tables as text."""

from collections.abc import Iterable


def number(value: float | None) -> str:
    """Format a metric to four significant digits; "-" for None."""
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def columns_of(scores: Iterable[dict[str, float]]) -> list[str]:
    """Return the metrics of all rows in the order of their first occurrence."""
    return list(dict.fromkeys(name for row in scores for name in row))


def indented(text: str) -> str:
    """Return a text indented by four spaces (a code block in Markdown)."""
    return "\n".join(f"    {line}" for line in text.splitlines())
