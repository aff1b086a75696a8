"""Options of a component, of any kind: the config keeps them whole, and the docstring explains each."""

import json
from typing import Any

from seqkit import registry, schema
from seqkit.errors import one_line
from seqkit.report.options import arguments
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure


def define_checks(kind: str) -> None:
    """Define the checks of options for a kind; ``config`` of its subject is name and options, or None."""

    @check(kind)
    def options_survive_the_config(subject: Any) -> None:
        """Its options as JSON are the same options: runs, checkpoints and workers know a component by these only."""
        factory, given = _factory(kind, subject)
        values = schema.check(factory, given, kind)
        try:
            text = json.dumps(schema.plain(factory, values), allow_nan=False)
        except (ValueError, TypeError) as error:
            raise CheckError(
                f"its options cannot be written as JSON ({one_line(error)}); use int, float, bool, str, lists"
            ) from error
        again = schema.check(factory, json.loads(text), kind)
        changed = [f"{kind}.{name}" for name, value in values.items() if again[name] != value]
        ensure(
            not changed,
            f"read back from JSON {', '.join(changed)} is another value; a validator must keep what it has returned",
        )

    @check(kind)
    def docstring_explains_every_option(subject: Any) -> None:
        """``describe`` prints what the docstring says of each option under Args."""
        factory, _ = _factory(kind, subject)
        explained = arguments(registry.find(kind, subject.config["name"]).doc)
        names = [option.name for option in schema.options(factory)]
        missing = [name for name in names if not explained.get(name)]
        ensure(not missing, f"its docstring does not explain {', '.join(missing)}; add a line under Args: for each")
        known = {*names, *schema.signature(factory).parameters}
        unknown = [name for name in explained if name not in known]
        ensure(not unknown, f"its docstring explains {', '.join(unknown)}, which it does not have")


def _factory(kind: str, subject: Any) -> tuple[Any, dict[str, Any]]:
    """Return what builds a registered component, and the options that were given."""
    if subject.config is None:
        raise DoesNotApply("it was not built from a config")
    config = dict(subject.config)
    return registry.find(kind, config.pop("name")).factory, config
