import struct

import pytest

from seqkit.inputs.waveform.wav_header import wav_fault_reason


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        return path

    return to_file


def wav(promised=20, there=20, rate=8000, frame=2, before=b""):
    """Return a WAV file of 16-bit samples whose header promises ``promised`` bytes and which holds ``there``."""
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, frame, 16)
    body = b"WAVE" + fmt + before + b"data" + struct.pack("<I", promised) + bytes(there)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "content",
    [
        wav(),
        wav(promised=20, there=30),
        wav(promised=0xFFFF_FFFF),  # of a stream
        wav(before=b"LIST" + struct.pack("<I", 3) + b"abc\0"),  # an odd chunk is padded
        wav(there=20, promised=21),  # half a sample is none
        b"fLaC and more",
        b"",
    ],
)
def test_nothing_is_wrong(write, content):
    assert wav_fault_reason(write(content)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (wav(promised=4000), "cut off: its header promises 2,000 samples, the file holds 10"),
        (wav(promised=20, there=0), "cut off: its header promises 10 samples, the file holds 0"),
        (wav(promised=40, frame=4), "cut off: its header promises 10 samples, the file holds 5"),
        (wav(rate=0), "its header says 0 samples per second"),
        (wav(frame=0), "its header says 0 bytes per sample"),
    ],
)
def test_a_header_that_contradicts_the_file(write, content, reason):
    assert wav_fault_reason(write(content)) == reason
