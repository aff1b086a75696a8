"""A run's report as Markdown, ``report.md``."""

import json
from pathlib import Path
from typing import Any

from seqkit.report.text import changed_in_words, columns_of, indented, markdown_table, number, started_in_words


def markdown(facts: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    scores = {"model": facts["test"], **facts["baselines"]}
    columns = columns_of(scores.values())
    parts = [
        f"# {facts['name']}",
        f"Test part, model `{facts['config']['model']['name']}` of {facts['parameters']:,} parameters beside "
        f"baselines. Best validation at step {facts['best_step']:,}; {facts['training_seconds']} s of training.",
        markdown_table(
            ["", *columns], [[name, *(number(row.get(c)) for c in columns)] for name, row in scores.items()]
        ),
        *(f"![{Path(figure).stem}]({figure})" for figure in facts["figures"]),
    ]
    if facts.get("tables"):
        parts.append(f"Tables: {', '.join(f'[{table}]({table})' for table in facts['tables'])}.")
    if facts["missing"]:
        parts.append(f"Missing, because it failed (see train.log): {', '.join(facts['missing'])}.")
    if facts["sample"]:
        parts.append(f"## Sample\n\n{indented(facts['sample'])}")
    rows = [
        ["validation", ", ".join(f"{name} {number(value)}" for name, value in facts["valid"].items())],
        *([f"data: {name}", str(value)] for name, value in facts["data"].items()),
        *([where, why] for where, why in facts["backends"].items()),
        ["config hash", facts["config_hash"]],
        *(["started from", started_in_words(source)] for source in [facts.get("init_from")] if source),
        *(["changed", changed_in_words(entry)] for entry in facts["history"]),
        ["device", facts["device"]],
        ["machine", facts["machine"]],
        ["versions", ", ".join(f"{name} {number}" for name, number in facts["versions"].items())],
    ]
    parts.append(f"## Facts\n\n{markdown_table(['', ''], rows)}")
    parts.append(f"## Config\n\n```json\n{json.dumps(facts['config'], indent=2)}\n```")
    return "\n\n".join(parts) + "\n"
