"""Description of a component: equations, options, what it fits, and the size and backend of a model."""

import sys
from typing import Any

from seqkit import registry
from seqkit.errors import SeqkitError
from seqkit.report.facts import backends_in_words
from seqkit.report.fits import fits
from seqkit.report.options import body, options


def describe(kind: str, name: str, config: dict[str, Any] | None, input_size: int) -> dict[str, Any]:
    """Return a component's description as plain JSON.

    Args:
        kind: Any kind of component.
        name: Of the component.
        config: Its name and options; None is its name alone.
        input_size: Of a model, for its number of parameters.

    Raises:
        ConfigError: There is no such component, or its options are wrong.
    """
    found = registry.find(kind, name)
    description: dict[str, Any] = {
        "component": f"{kind}={name}",
        "summary": found.summary,
        "text": body(found.doc),
        "provider": found.provider,
        "file": getattr(sys.modules.get(found.module), "__file__", None) or found.module,
        "options": options(found.factory, found.doc),
    }
    chosen = config or {"name": name}
    try:
        return description | (_model(chosen, input_size) if kind == "model" else {"fits": fits(found, chosen)})
    except SeqkitError as refusal:  # an option is required
        if config:
            raise
        return description | {"fits": {"unknown yet": str(refusal)}}


def _model(config: dict[str, Any], input_size: int) -> dict[str, Any]:
    model = registry.build("model", config, input_size)
    return {
        "fits": {"inputs": "any", "tasks": "any", "heads": "any" if model.causal else "any that need no causal model"},
        "input size": input_size,
        "output size": model.output_size,
        "causal": model.causal,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "backends": backends_in_words(model),
    }
