"""Check that components do what their contracts demand: every check of their kind, one line each.

seqkit check model=mgu                             a model, made of a cell or whole
seqkit check model=mgu model.layer_norm=true       with options
seqkit check head=mine data=mine                   both, the head on the spec of these data

Ends with 1 where a check failed. In pytest each check is a test: see docs/plugins.md.
"""

import argparse

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "%(prog)s KIND=NAME [KIND.OPTION=VALUE ...] [--json]"
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the checks and print a table; return 1 where one failed."""
    import json
    import logging

    from seqkit.errors import ConfigError
    from seqkit.testing.check import outcomes
    from seqkit.testing.line import parse, suite

    chosen = parse(arguments.overrides)
    if not chosen:
        raise ConfigError("say what to check: seqkit check model=NAME")
    logging.getLogger("seqkit").setLevel(logging.ERROR)
    rows = []
    for kind, config in chosen.items():
        for outcome in outcomes(*suite(kind, chosen)):
            result = "FAILED" if not outcome.passed else "passed" if outcome.applies else "does not apply"
            row = {"component": f"{kind}={config['name']}", "check": outcome.check.sentence, "result": result}
            rows.append({**row, "reason": outcome.reason})
            if not arguments.json:
                print(_line(rows[-1]), flush=True)
    failed = sum(row["result"] == "FAILED" for row in rows)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        print(f"{len(rows)} checks: {failed or 'none'} failed")
    return 1 if failed else 0


def _line(row: dict[str, str]) -> str:
    reason = f"  {row['reason']}" if row["reason"] else ""
    return f"{row['component']}  {row['check']:<46}  {row['result']}{reason}"
