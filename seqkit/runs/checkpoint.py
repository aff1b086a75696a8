"""Checkpoints on disk: written whole with a checksum, read through one function that trusts nothing.

A checkpoint is the zip file that ``torch.save`` writes, with the sha256 of all that stands before it as the zip's
comment. It holds tensors and plain data only.
"""

import io
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from seqkit import interrupting
from seqkit.config import Config
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, SeqkitError, TrainingError, shortened
from seqkit.files import atomic, sync_folder
from seqkit.models.backends.choose import choices_from_json, use_choices
from seqkit.network import Network, assemble, network_weights
from seqkit.runs import provenance
from seqkit.specs import spec_from_json, spec_to_json

PLAIN = (type(None), bool, int, float, complex, str, bytes, Tensor, nn.Parameter)
NAMES = {
    "optimizer_states": "the optimizer's state",
    "lr_schedulers": "the scheduler's state",
    "seqkit": "the metadata",
}
"""Of the parts of a checkpoint's content, where a person would not know them by their keys."""
AVERAGED = "averaged"
"""Key of the averaged weights in a checkpoint's content, where the training averages them."""
MARK = b"seqkit sha256 "
COMMENT = len(MARK) + 64
CONTENT: dict[str, type | tuple[type, ...]] = {
    "state_dict": dict,
    "global_step": int,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "seqkit": dict,
}
METADATA: dict[str, type | tuple[type, ...]] = {
    "config": dict,
    "components": dict,
    "conditions": dict,
    "spec": dict,
    "version": str,
    "hash": str,
    "fingerprint": str,
    "started_in": str,
    "latest": dict,
    "seconds": (int, float),
    "ranks": list,
}


class DamagedError(ConfigError):
    """A checkpoint whose content is not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and validated.

    Attributes:
        path: The file.
        content: As Lightning keeps it, with the metadata of seqkit under "seqkit".
    """

    path: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint, tensors and plain data only.

        Raises:
            ConfigError: The file is missing, damaged, or not of seqkit.
        """
        return cls(path, read(path))

    @property
    def metadata(self) -> dict[str, Any]:
        """Config, spec, fingerprint of the data, conditions: what lets the checkpoint be used by itself."""
        return self.content["seqkit"]

    @property
    def step(self) -> int:
        """Finished optimizer steps."""
        return self.content["global_step"]

    @property
    def weights(self) -> dict[str, Tensor]:
        """Weights of the network, averaged ones where the training averages them."""
        return network_weights(self.content) | self.content.get(AVERAGED, {})

    @property
    def progress(self) -> dict[str, Any]:
        """State of the callback that decides on the best checkpoint and on the end: best, waited, done."""
        state = self.content["callbacks"].get("Checkpoints")
        if not isinstance(state, dict) or "done" not in state:
            raise _refusal(self.path, "its state of the training is missing")
        return state

    @property
    def backends(self) -> list[dict[str, Any]]:
        """The choices of backends by measurement, as plain JSON."""
        return self.metadata.get("backends", [])

    def config(self) -> Config:
        """Return the checked config; raises ConfigError where it cannot be used here."""
        return provenance.checked(self.metadata["config"], self.metadata["components"], str(self.path))

    def spec(self) -> DataSpec:
        """Return the spec of the data; raises ConfigError where it cannot be read."""
        missing = provenance.provide(self.metadata["components"])
        try:
            return spec_from_json(self.metadata["spec"])
        except ConfigError as error:
            raise ConfigError(missing or f"{self.path}: its data spec cannot be read: {error}") from None

    def with_spec(self, spec: DataSpec) -> "Checkpoint":
        """Return the checkpoint with another spec of the data."""
        return Checkpoint(self.path, {**self.content, "seqkit": {**self.metadata, "spec": spec_to_json(spec)}})

    def network(self) -> Network:
        """Build the network that the config names, with the weights.

        Sizes are compared before anything large is allocated.

        Raises:
            ConfigError: The weights do not fit the network, or no network can be built.
        """
        config, spec, weights = self.config(), self.spec(), self.weights
        misfit = ConfigError(f"{self.path}: its weights do not fit the network that its config describes")
        try:
            with _no_larger_than(weights, misfit):
                try:
                    with torch.device("meta"):
                        assemble(config, spec)
                except SeqkitError as error:
                    if error is misfit:
                        raise
                except (RuntimeError, TypeError, ValueError, NotImplementedError):
                    pass  # a component that cannot be built without values; its size is still watched below
                network = assemble(config, spec)
        except SeqkitError:
            raise
        except Exception as error:
            raise ConfigError(f"{self.path}: no network can be built from its config: {_brief(error)}") from error
        try:
            network.load_state_dict(weights)
        except RuntimeError:
            raise misfit from None
        use_choices(network.model, self.backends)
        return network


def refuse_if_not_plain(content: dict[str, Any]) -> None:
    """Refuse to save a checkpoint's content that could not be read again.

    Raises:
        TrainingError: It holds something other than tensors and plain data; the message names it.
    """
    reasons = (not_plain_reason(value, NAMES.get(key, key)) for key, value in content.items())
    if reason := next(filter(None, reasons), ""):
        raise TrainingError(
            f"no checkpoint can be saved, since it could not be read again: {reason}; "
            "keep tensors, numbers, strings, lists and dicts"
        )


def write(path: Path, content: dict[str, Any], keep: int = 1) -> None:
    """Write a checkpoint, atomically and with its checksum.

    Args:
        path: The file; its folder is made.
        content: As Lightning keeps it, with the metadata of seqkit.
        keep: Checkpoints to keep under this name, the new one among them; see ``atomic``.
    """
    buffer = io.BytesIO()  # not the file itself: torch would turn a full disk into an error of its own
    torch.save(content, buffer)
    body = buffer.getbuffer()[:-2]  # the last two bytes are the length of the zip's comment, which is 0
    length = struct.pack("<H", COMMENT)
    digest = sha256(body)
    digest.update(length)
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent.parent)
    with atomic(path, keep) as file:
        file.write(body[: len(body) // 2])
        if interrupting.wanted():
            file.flush()
            interrupting.reached("writing", path.name)
        for piece in (body[len(body) // 2 :], length, MARK, digest.hexdigest().encode()):
            file.write(piece)


def read(path: Path) -> dict[str, Any]:
    """Read and validate a checkpoint's content; the only way in which one is read.

    Raises:
        ConfigError: The file is missing, damaged, or not of seqkit.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such checkpoint")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    reason = _damage_reason(raw)
    if reason:
        raise _refusal(path, reason)
    try:
        content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception:  # the unpickler's advice is to read it without safety; ours is not
        raise _refusal(path, "it holds something other than tensors and plain data") from None
    reason = _content_reason(content)
    if reason:
        raise _refusal(path, reason)
    return content


def not_plain_reason(value: Any, where: str) -> str:
    """Return which part of a value would not be read with ``weights_only=True``, or an empty string.

    Args:
        value: Of any kind.
        where: Its name, for the reason.
    """
    items: list[tuple[Any, str]]
    if type(value) in (dict, OrderedDict):
        items = [(key, f"a key of {where}") for key in value] + [(value[key], f"{where}[{key!r}]") for key in value]
    elif type(value) in (list, tuple, set):
        items = [(item, f"{where}[{number}]") for number, item in enumerate(value)]
    elif type(value) in PLAIN or _is_read_again(value):
        return ""
    else:
        return f"{where} is a {type(value).__name__}, {shortened(value)}"
    return next(filter(None, (not_plain_reason(item, place) for item, place in items)), "")


def _is_read_again(value: Any) -> bool:
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception:
        return False
    return True


def _damage_reason(raw: bytes) -> str:
    """Return how a file differs from one that ``write`` wrote, or an empty string."""
    if not raw:
        return "it is empty"
    if not raw.startswith(b"PK\x03\x04"):
        return "it is no zip file with tensors"
    signed, comment = memoryview(raw)[:-COMMENT], raw[-COMMENT:]
    mark, digest = comment[: len(MARK)], comment[len(MARK) :]
    if mark == MARK and digest == sha256(signed).hexdigest().encode():
        return _record_reason(raw)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            oversized = _oversized_reason(archive, len(raw))
            bad = None if oversized else archive.testzip()
    except Exception:
        return "it is cut short, or its table of records is damaged"
    if oversized or bad:
        return oversized or f"its record {bad!r} does not have the checksum it was written with"
    return "its bytes do not have the checksum they were written with" if MARK in comment else "it has no checksum"


def _record_reason(raw: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return _oversized_reason(archive, len(raw))
    except Exception:
        return "its table of records is damaged"


def _oversized_reason(archive: zipfile.ZipFile, size: int) -> str:
    """Return the reason to read no record: a compressed one, or more in them than the file has bytes."""
    records = archive.infolist()
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            return f"its record {record.filename!r} is compressed"
    return "its records are larger than the file" if sum(record.file_size for record in records) > size else ""


def _content_reason(content: Any) -> str:
    """Return where the content differs in kind from that of a checkpoint, or an empty string."""
    if not isinstance(content, dict):
        return "it holds no table"
    reason = _kinds_reason(content, CONTENT, "") or _kinds_reason(content["seqkit"], METADATA, "seqkit.")
    if reason:
        return reason
    if not isinstance(content.get(AVERAGED, {}), dict):
        return f"{AVERAGED} is of another type than seqkit writes"
    for name, value in [*content["state_dict"].items(), *content.get(AVERAGED, {}).items()]:
        if not isinstance(name, str) or not isinstance(value, Tensor):
            return f"its weight {name!r} is no named tensor"
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            return f"its weight {name!r} claims more values than the file holds"
    try:
        choices_from_json(content["seqkit"].get("backends", []))
    except ValueError as error:
        return f"seqkit.backends is {error}"
    for name, value in content["seqkit"]["latest"].items():
        if not isinstance(name, str) or not isinstance(value, int | float):
            return f"its score {name!r} is no number"
    ranks = content["seqkit"]["ranks"]
    if not ranks or not all(isinstance(rank, dict) and {"rng", "carried"} <= rank.keys() for rank in ranks):
        return "seqkit.ranks is not a list with the state of each process"
    return ""


def _kinds_reason(table: dict, expected: Mapping[str, type | tuple[type, ...]], where: str) -> str:
    if any(not isinstance(key, str) for key in table):
        return "it has keys that are not strings"
    missing = sorted(f"{where}{key}" for key in expected if key not in table)
    if missing:
        return f"it has no {', '.join(missing)}"
    wrong = sorted(f"{where}{key}" for key, kind in expected.items() if not isinstance(table[key], kind))
    return f"{', '.join(wrong)} is of another type than seqkit writes" if wrong else ""


def _refusal(path: Path, reason: str) -> DamagedError:
    return DamagedError(f"{path} is not a checkpoint of seqkit, or is damaged: {reason}")


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


@contextmanager
def _no_larger_than(weights: Mapping[str, Tensor], refusal: ConfigError) -> Iterator[None]:
    """Raise ``refusal`` as soon as the modules being built hold far more parameters than ``weights``."""
    most, most_values = 4 * len(weights) + 100, 4 * sum(weight.numel() for weight in weights.values()) + 10_000
    count, values = 0, 0

    def watch(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal count, values
        count, values = count + 1, values + (parameter.numel() if parameter is not None else 0)
        if count > 2 * most or values > 2 * most_values:  # built twice
            raise refusal

    handle: Any = _register(watch)
    try:
        yield
    finally:
        handle.remove()


_register: Callable[..., Any] = register_module_parameter_registration_hook
