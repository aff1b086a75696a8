import struct

import pytest

from seqkit.inputs.waveform.wav_header import wav_fault_reason


def wav(held: int, promised: int, rate: int = 8000, before: bytes = b"") -> bytes:
    """Return a WAV file of 16-bit samples; ``held`` and ``promised`` are bytes, ``before`` a chunk before the sound."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF\0\0\0\0WAVE" + form + before + struct.pack("<4sI", b"data", promised) + bytes(held)


@pytest.mark.parametrize(("content", "reason"), [
    (wav(400, 400), None),
    (wav(399, 400), "cut off: its header promises 200 samples, the file holds 199"),
    (wav(100, 400, before=b"LIST\x03\0\0\0abc\0"), "cut off: its header promises 200 samples, the file holds 50"),
    (wav(400, 0xFFFFFFFF), None),  # a stream's, whose length nobody knew
    (wav(400, 401), None),  # half a sample is none
    (wav(400, 400, rate=0), "its header says 0 samples per second"),
    (b"fLaC" + bytes(40), None),
    (b"RIFF", None),
    (b"", None),
])  # fmt: skip
def test_faults_of_a_header(tmp_path, content, reason):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert wav_fault_reason(path) == reason
