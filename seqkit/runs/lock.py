"""The lock of a run, which holds on network file systems too, and is taken over from a process that is gone.

The lock is a file, made with ``O_EXCL``, that names its holder; a thread of the holder's renews it every ``BEAT``
seconds. Whether the holder is gone is decided by the first of these that can tell:

1. on the same machine, whether its process is there: the pid, and the time at which that process started;
2. in the same job of a scheduler, whether the job has been started again since;
3. whether somebody holds ``flock`` on the file, where the file system has it: then it is not gone;
4. whether the file changes while it is watched for ``STALE`` seconds by one's own clock. The clocks of two machines
   are never compared.

The right to take over from a holder is a second file, made with ``O_EXCL`` under a name with the holder's random token,
so that one process gets it; renamed, that file is the new lock. The right of a process that died before that can be
taken over in the same way.
"""

import fcntl
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from seqkit.errors import TrainingError

LOG = logging.getLogger("seqkit")
BEAT = 5.0
"""Seconds between two renewals of a lock."""
STALE = 60.0
"""Seconds without a renewal after which a holder on another machine is taken to be gone."""
GLANCE = 1.0
"""Seconds between two looks at a lock that is asked for between any two steps."""


@dataclass(frozen=True)
class Holder:
    """Process that holds a lock.

    Attributes:
        token: Random; no two holders have the same.
        host: Name of its machine, for people.
        machine: Its kernel and process namespace, within which a pid names one process; empty where it is not known.
        pid: Of the process.
        started: When the process was started, in the clock ticks of that kernel.
        job: Of the scheduler; empty outside one.
        restart: How often the scheduler has started the job again.
        since: When it took the lock, for people.
        folder: In which it made the file.
        inode: Of the file; another one tells that the file was copied, with its folder.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: str
    job: str
    restart: int
    since: str
    folder: str
    inode: int

    @classmethod
    def here(cls, file: int, folder: Path) -> "Holder":
        """Return this process as the holder of an open file in a folder."""
        return cls(
            token=secrets.token_hex(8),
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=_start_time(os.getpid()) or "",
            job=_job(),
            restart=_restart(),
            since=datetime.now().astimezone().isoformat(" ", "seconds"),
            folder=str(folder.absolute()),
            inode=os.fstat(file).st_ino,
        )

    def __str__(self) -> str:
        if not self.pid:
            return "by whom, its file does not tell"
        return f"pid {self.pid} on {self.host}{f', {self.job},' * bool(self.job)} since {self.since}"


@dataclass(frozen=True)
class _Sight:
    """A lock file at one moment."""

    holder: Holder
    folder: str
    inode: int
    version: tuple[bytes, int]  # differs after each renewal
    flocked: bool

    @property
    def is_copy(self) -> bool:
        """Whether the file was copied with its folder, so that its holder holds another one."""
        return self.folder != self.holder.folder and self.inode != self.holder.inode

    def is_alive(self) -> bool | None:
        """Whether the holder still holds the lock; None where only time can tell."""
        if self.holder.machine and self.holder.machine == _machine():
            return not self.is_copy and _start_time(self.holder.pid) == self.holder.started
        if self.holder.job and self.holder.job == _job() and self.holder.restart < _restart():
            return False
        return True if self.flocked else None


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock; a holder that is gone is said to be taken over from.

    Args:
        path: The lock's file; its folder must be there.

    Raises:
        TrainingError: Another process holds it; the message says which.
        OSError: The file cannot be written.
    """
    file, holder = _acquire(path)
    try:
        released = Event()
        beat = Thread(target=_renew, args=(file, released), name="lock of the run", daemon=True)
        beat.start()
        try:
            yield
        finally:
            released.set()
            beat.join()
            with suppress(OSError):  # a file system that has become read-only
                found = _look(path)
                if found and found.holder.token == holder.token:
                    path.unlink()
    finally:
        os.close(file)


class LockWatch:
    """Whether a lock is still held by whom it was held by at first; for its holder, and for processes that serve it.

    Args:
        path: The lock's file; where it is not there, nothing is watched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = _look(path)
        self._holder = found.holder if found else None
        self._reason, self._looked = "", time.monotonic()

    def lost_reason(self, now: bool = False) -> str:
        """Return how the lock was lost, in words that follow "the lock of the run", or an empty string.

        Args:
            now: Look at the file even if that was done a moment ago, as is right before something is written.
        """
        recent = time.monotonic() - self._looked < GLANCE
        if self._holder is None or self._reason or (recent and not now):
            return self._reason
        self._looked = time.monotonic()
        try:
            found = _look(self.path)
        except OSError:  # what is written next says it better
            return ""
        if found is None:
            self._reason = f"is gone ({self.path} was deleted)"
        elif found.holder.token != self._holder.token:
            self._reason = f"was taken over by {found.holder}"
        return self._reason


def is_held(path: Path) -> bool:
    """Whether a process holds a lock, as far as one look can tell; nothing is locked or changed by it.

    A holder on another machine counts until its last renewal is ``STALE`` seconds ago by the clock of this one.
    """
    try:
        found = _look(path, try_flock=False)
    except OSError:
        return False
    if found is None:
        return False
    alive = found.is_alive()
    return time.time() - found.version[1] / 1e9 < STALE if alive is None else alive


def _acquire(path: Path) -> tuple[int, Holder]:
    """Make the lock's file, or take it over, and return it open, with this process as its holder."""
    seen: tuple[str, tuple[bytes, int]] | None = None  # of the one that may be gone: token and version
    since = 0.0
    while True:
        if (made := _create(path)) is not None:
            break
        sights = _chain(path)
        if not sights:
            continue  # given back in this moment
        first, last = sights[0], sights[-1]
        token, alive = last.holder.token, last.is_alive()
        if alive is None and (seen is None or seen[0] != token):
            seen, since = (token, last.version), time.monotonic()
            LOG.warning(
                "run %s is locked (%s); taken over if there is no sign of life for %.0f s",
                path.parent,
                last.holder,
                STALE,
            )
        elif alive is None and seen is not None:
            alive = True if seen[1] != last.version else False if time.monotonic() - since >= STALE else None
        if alive:
            raise TrainingError(f"run {path.parent} is being trained by another process ({last.holder})")
        if alive is None:
            time.sleep(min(BEAT, STALE) / 5)
            continue
        claim = path.with_name(f"{path.name}.{token}")
        if (made := _create(claim)) is None:
            continue  # another process takes it over
        now = _look(path)
        if now and now.holder.token == first.holder.token:
            with suppress(FileNotFoundError):  # taken away by a process that holds the lock by now
                os.replace(claim, path)
                if not first.is_copy:
                    LOG.warning("run %s: its lock is taken over (%s), whose process is gone", path.parent, first.holder)
                break
        os.close(made[0])
        claim.unlink(missing_ok=True)
    for left in path.parent.glob(f"{path.name}.*"):
        left.unlink(missing_ok=True)
    return made


def _create(path: Path) -> tuple[int, Holder] | None:
    """Make a file that names this process as its holder; None where there is one already."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    try:
        with suppress(OSError):  # where the file system has none
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder = Holder.here(file, path.parent)
        os.pwrite(file, (json.dumps(asdict(holder)) + "\n").encode() + _count(0), 0)
        os.fsync(file)
    except BaseException:
        os.close(file)
        with suppress(OSError):
            path.unlink()
        raise
    return file, holder


def _renew(file: int, released: Event) -> None:
    """Write a new number into the lock's file every ``BEAT`` seconds, until it is released."""
    place, number = os.fstat(file).st_size - len(_count(0)), 0
    while not released.wait(BEAT):
        number += 1
        with suppress(OSError):  # of a network, for a while
            os.pwrite(file, _count(number), place)
            os.fsync(file)


def _count(number: int) -> bytes:
    return b"%12d\n" % number


def _chain(path: Path) -> list[_Sight]:
    """Return the lock, and after it each right to take over from the one before."""
    sights: list[_Sight] = []
    place = path
    while sight := _look(place):
        sights.append(sight)
        place = path.with_name(f"{path.name}.{sight.holder.token}")
    return sights


def _look(path: Path, try_flock: bool = True) -> _Sight | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        status, raw = os.fstat(file), os.pread(file, 10_000, 0)
        flocked = False
        try:
            if try_flock:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            flocked = True
        except OSError:
            pass
    finally:
        os.close(file)
    try:
        values = json.loads(raw.partition(b"\n")[0])
        holder = Holder(**{field.name: field.type(values[field.name]) for field in fields(Holder)})  # type: ignore[operator]
        if not holder.token.isalnum():
            raise ValueError
    except (ValueError, KeyError, TypeError):  # empty: its maker has not come further, or has crashed
        holder = Holder(f"unreadable-{status.st_ino}", "", "", 0, "", "", 0, "", "", 0)
    return _Sight(holder, str(path.parent.absolute()), status.st_ino, (raw, status.st_mtime_ns), flocked)


def _machine() -> str:
    """Return the kernel and the namespace of its processes, or an empty string where the system does not tell."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_time(pid: int) -> str | None:
    """Return when a process was started, in ticks of the kernel's clock; None where there is none, or a dead one."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else rest[18]


def _job() -> str:
    number, cluster = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_CLUSTER_NAME")
    return f"SLURM job {number}{f' of {cluster}' if cluster else ''}" if number else ""


def _restart() -> int:
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(count) if count.isdigit() else 0
