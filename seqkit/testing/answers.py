"""Plain JSON, and whether two pieces of it say the same."""

import json
import math
from typing import Any

from seqkit.testing.compare import TOLERANCE


def difference_reason(found: Any, due: Any, name: str = "") -> str:
    """Return where two pieces of plain JSON differ by more than rounding, or an empty string."""
    where = f"'{name}' " if name else ""
    if isinstance(due, dict) and isinstance(found, dict):
        if found.keys() != due.keys():
            return f"{where}has the keys {sorted(map(str, found))}, not {sorted(map(str, due))}"
        reasons = (difference_reason(found[key], due[key], str(key)) for key in due)
        return next(filter(None, reasons), "")
    if isinstance(due, list | tuple) and isinstance(found, list | tuple):
        if len(found) != len(due):
            return f"{where}has {len(found)} entries, not {len(due)}"
        reasons = (difference_reason(*pair, name) for pair in zip(found, due, strict=True))
        return next(filter(None, reasons), "")
    if isinstance(due, float) and isinstance(found, int | float):
        same = math.isclose(found, due, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(found) and math.isnan(due))
        return "" if same else f"{where}is {found:.6g}, not {due:.6g}"
    return "" if found == due else f"{where}is {found!r:.60}, not {due!r:.60}"


def json_reason(value: Any) -> str:
    """Return why a value is no plain JSON, or does not survive being written as such, or an empty string."""
    try:
        back = json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        return f"{error}; convert it, by .tolist() or float()"
    return difference_reason(back, value)
