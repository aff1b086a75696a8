import errno
import os
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

import pytest

from seqkit.errors import DataError
from seqkit.files import (
    TEMPORARY,
    atomic,
    disk_reason,
    existing,
    existing_file,
    existing_folder,
    older,
    sha256_of,
    write_atomic,
)


def refusal(check, *arguments):
    with pytest.raises(DataError) as caught:
        check(*arguments)
    return str(caught.value)


def test_returns_what_is_there(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("x")
    assert existing_file(str(file), "a CSV file") == file
    assert existing_folder(str(tmp_path), "a folder") == tmp_path
    assert existing(file, "any") == file
    assert existing(tmp_path, "any") == tmp_path


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("x")
    assert existing_file("~/a.csv", "a CSV file") == tmp_path / "a.csv"


def test_refusals_name_path_nearest_and_expectation(tmp_path):
    file = tmp_path / "ETTh1.csv"
    file.write_text("x")
    assert refusal(existing_file, tmp_path / "ETTh2.csv", "a CSV file") == (
        f"{tmp_path}/ETTh2.csv: no such file. Did you mean 'ETTh1.csv'? Expected a CSV file"
    )
    assert refusal(existing_file, tmp_path / "data" / "x.csv", "a CSV file") == (
        f"{tmp_path}/data/x.csv: no such file (there is no 'data' in {tmp_path}). Expected a CSV file"
    )
    assert refusal(existing_file, tmp_path, "a CSV file") == f"{tmp_path}: is a folder. Expected a CSV file"
    assert refusal(existing_folder, file, "a folder") == f"{file}: is not a folder. Expected a folder"
    assert refusal(existing_folder, tmp_path / "clips", "a folder of WAV files") == (
        f"{tmp_path}/clips: no such folder. Expected a folder of WAV files"
    )
    assert refusal(existing, tmp_path / "clips", "a text") == (
        f"{tmp_path}/clips: no such file or folder. Expected a text"
    )


def test_write_atomic_replaces_whole_and_leaves_nothing_else(tmp_path):
    place = tmp_path / "a.json"
    write_atomic(place, "old and longer")
    write_atomic(place, "né")
    assert place.read_bytes() == "né".encode()
    write_atomic(place, b"\x00\xff")
    assert place.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_that_fails_keeps_the_old_content(tmp_path, monkeypatch):
    place = tmp_path / "a.json"
    write_atomic(place, "old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(place, "new")
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_sha256_of_one_file_is_that_of_its_content_and_of_several_depends_on_borders(tmp_path):
    for name, text in {"a": "one", "b": "two", "c": "onet", "d": "wo"}.items():
        (tmp_path / name).write_text(text)
    assert sha256_of([tmp_path / "a"]) == sha256(b"one").hexdigest()
    assert sha256_of([tmp_path / "a", tmp_path / "b"]) != sha256_of([tmp_path / "c", tmp_path / "d"])
    assert sha256_of([tmp_path / "a", tmp_path / "b"]) != sha256_of([tmp_path / "b", tmp_path / "a"])


def test_atomic_gives_a_file_to_write_by_path_too(tmp_path):
    place = tmp_path / "a.bin"
    with atomic(place) as file:
        file.write(b"one")
        file.flush()
        assert not place.exists()
        assert fnmatch(Path(file.name).name, TEMPORARY)
        with Path(file.name).open("ab") as again:
            again.write(b" two")
    assert place.read_bytes() == b"one two"
    writing = atomic(place)
    writing.__enter__().write(b"half")
    assert not writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert place.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["a.bin"]


class Killed(BaseException):
    """Stands for a SIGKILL."""


def test_older_contents_are_kept_whole_whenever_a_kill_comes(tmp_path, monkeypatch):
    place, moment, calls = tmp_path / "a.ckpt", 0, []

    def dies(original):
        def call(*arguments, **options):
            calls.append(original)
            if len(calls) == moment:
                raise Killed
            return original(*arguments, **options)

        return call

    for owner, name in ((os, "replace"), (os, "fsync"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, dies(getattr(owner, name)))
    last = 0
    for number in range(1, 60):
        calls.clear()
        moment = number % 7
        try:
            with atomic(place, keep=3) as file:
                file.write(b"%d" % number)
            assert place.read_bytes() == b"%d" % number
        except Killed:
            pass
        found = [int(entry.read_bytes()) for entry in (place, *older(place)) if entry.exists()]
        assert found[:1] in ([last], [number]) or last == 0
        assert found == sorted(set(found), reverse=True)
        assert len(found) <= 3
        last = found[0] if found else 0
    assert last > 50


def test_contents_beyond_the_wanted_number_go(tmp_path):
    place = tmp_path / "a.ckpt"
    for keep, expected in ((4, 4), (2, 2), (1, 2)):
        for number in range(6):
            with atomic(place, keep) as file:
                file.write(b"%d" % number)
        assert len([place, *older(place)]) == expected


def test_disk_reason_names_a_full_disk():
    assert disk_reason(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"
    assert disk_reason(OSError(errno.EROFS, "Read-only file system")) == "read-only file system"
