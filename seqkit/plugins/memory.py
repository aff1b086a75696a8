"""The user's own memory of the plugin files that were named or trained with here, by the sha256 of their source.

It decides which files a saved run may load unasked. It lies in the user's folder, never in a run.
"""

import fcntl
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from shlex import quote

from platformdirs import user_data_dir

from seqkit.errors import shown
from seqkit.files import disk_reason, write_atomic
from seqkit.origin import digest

LOG = logging.getLogger("seqkit")


def remember(file: Path, sha256: str | None = None) -> None:
    """Note that this user has used a file.

    Args:
        file: Of a plugin's module.
        sha256: Of its source when it was used; None is as it is now.
    """
    sha256 = sha256 or digest(file)
    if str(file) in files_of(sha256):
        return
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".plugins.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _read()
            known[sha256] = [*known.get(sha256, []), str(file)]
            write_atomic(folder / "plugins.json", json.dumps(known, indent=1) + "\n")
    except OSError as error:
        LOG.warning("%s: cannot be written (%s), so later commands need --plugin %s", folder, disk_reason(error), file)


def files_of(sha256: str) -> list[str]:
    """Return the files that this user used when their source had this sha256; an empty list if none had."""
    return _read().get(sha256, [])


def used_before(name: str) -> str:
    """Return how to load a file of this user's that registers a name, by its text; an empty string if none does."""
    call = re.compile(rf"register\w*\((?:[^()]*,)?\s*[\"']{re.escape(name)}[\"']")
    for file in dict.fromkeys(Path(file) for files in _read().values() for file in files):
        with suppress(OSError):
            if call.search(file.read_text(errors="replace")):
                return f"You have used {shown(file)}, which registers it: add --plugin {quote(str(shown(file)))}. "
    return ""


def home() -> Path:
    """Return the user's own folder of seqkit."""
    return Path(os.environ.get("SEQKIT_HOME") or user_data_dir("seqkit"))


def _read() -> dict[str, list[str]]:
    """Return the memory; what is damaged in it is forgotten."""
    try:
        content = json.loads((home() / "plugins.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        sha256: files
        for sha256, files in content.items()
        if isinstance(files, list) and all(isinstance(file, str) for file in files)
    }
