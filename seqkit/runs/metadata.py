"""Metadata of a checkpoint: its config, components and data spec, so that it can be used by itself."""

import os
from typing import Any

import seqkit
from seqkit.config import Config, config_hash
from seqkit.contracts.components import Data
from seqkit.runs.provenance import components
from seqkit.specs import spec_to_json


def metadata(config: Config, data: Data) -> dict[str, Any]:
    """Return, as plain JSON, what lets a checkpoint be used by itself.

    Args:
        config: Of the run, checked.
        data: Set up.
    """
    return {
        "version": seqkit.__version__,
        "config": config,
        "hash": config_hash(config),
        "components": components(config, data.spec),
        "spec": spec_to_json(data.spec),
        "fingerprint": data.fingerprint,
        "started_in": os.getcwd(),
    }
