"""The header of a WAV file, compared with the file: libsndfile reads a truncated one without a word."""

import os
import struct
from pathlib import Path

STREAMED = 0x7FFF_0000  # bytes; headers of streams, whose length nobody knew, promise about this or more


def wav_fault_reason(path: str | Path) -> str | None:
    """Return how a WAV file's header contradicts the file, None where it does not or the file is no WAV."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            return None
        frame = 1  # bytes per sample of all channels
        while len(head := file.read(8)) == 8:
            name, length = head[:4], int.from_bytes(head[4:], "little")
            if name == b"fmt " and length >= 16:
                _, _, rate, _, frame, _ = struct.unpack("<HHIIHH", file.read(16).ljust(16, b"\0"))
                if rate == 0 or frame == 0:
                    return "its header says 0 " + ("samples per second" if rate == 0 else "bytes per sample")
                length -= 16
            if name == b"data":
                promised, there = length // frame, (size - file.tell()) // frame
                if there < promised and length < STREAMED:
                    return f"cut off: its header promises {promised:,} samples, the file holds {there:,}"
                return None
            file.seek(length + length % 2, os.SEEK_CUR)
    return None
