import math

import numpy as np
import pytest
import torch

from seqkit.data.audio import AudioFolder
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.waveform.reading import read_waveform
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.transcribe.spec import Transcript

soundfile = pytest.importorskip("soundfile")


def tone(path, hertz=440.0, seconds=0.1, rate=8000, channels=1, amplitude=0.5, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten files each, of different lengths."""
    for name, hertz in (("low", 300), ("high", 2000)):
        for i in range(10):
            tone(tmp_path / "sounds" / name / f"{i}.{'wav' if i % 2 else 'flac'}", hertz, 0.05 + 0.01 * i)
    return tmp_path / "sounds"


def write(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text)
    return path


def with_files(tmp_path, text, names="abcdefgh"):
    for name in names:
        tone(tmp_path / f"{name}.wav")
    return write(tmp_path, text)


def make(**options):
    data = build("data", {"name": "audio_folder", **{k: str(v) if k in ("path", "manifest") else v
                                                    for k, v in options.items()}})  # fmt: skip
    data.setup()
    return data


def names(data, split):
    return [str(item.path) for item in data.part(split).items]


# --- what is read


def test_a_folder_is_split_evenly_by_class(folder):
    data = make(path=folder, valid_fraction=0.2, test_fraction=0.3)
    assert data.spec.inputs == Waveform(8000)
    assert data.spec.task == Classes(("high", "low"), (5, 5))
    for split, each in (("train", 5), ("valid", 2), ("test", 3)):
        labels = [int(data.part(split)[i][1]) for i in range(len(data.part(split)))]
        assert sorted(labels) == [0] * each + [1] * each
    everything = names(data, "train") + names(data, "valid") + names(data, "test")
    assert len(set(everything)) == 20
    assert data.facts["split"] == "drawn from all files, data.seed=0: valid 0.2 and test 0.3 of each class"
    assert data.facts["train"] == "10 files, 0.0 minutes"
    again, other = make(path=folder, valid_fraction=0.2, test_fraction=0.3), make(path=folder, seed=1)
    assert names(again, "test") == names(data, "test")
    assert again.fingerprint == data.fingerprint != other.fingerprint


def test_a_sample_is_the_sound_and_its_class(folder):
    data = make(path=folder)
    part = data.part("train")
    for index in range(len(part)):
        waveform, target = part[index]
        path = names(data, "train")[index]
        samples, _ = soundfile.read(path, dtype="float32")
        assert torch.equal(waveform, torch.from_numpy(samples))
        assert data.spec.task.names[target] in path


def test_a_manifest_with_splits(tmp_path):
    rows = "path,speaker,label,split\na.wav,x,yes,train\nb.wav,x,no,train\nc.wav,x,no,valid\nd.wav,y,yes,test\n"
    data = make(manifest=with_files(tmp_path, rows))
    assert data.spec.task == Classes(("no", "yes"), (1, 1))
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [2, 1, 1]
    assert names(data, "test") == [str(tmp_path / "d.wav")]
    assert data.facts["split"] == "by the manifest"


def test_validation_is_drawn_from_the_training_rows_where_the_manifest_has_none(tmp_path):
    rows = [
        f"{name}.wav,{'yes' if name in 'abc' else 'no'},{'test' if name in 'gh' else 'train'}" for name in "abcdefgh"
    ]
    path = with_files(tmp_path, "path,label,split\n" + "\n".join(rows))
    path.write_text(path.read_text().replace("g.wav,no", "g.wav,yes"))
    data = make(manifest=path, valid_fraction=0.3)
    assert {name[-5] for name in names(data, "test")} == {"g", "h"}
    assert len(data.part("valid")) == 2
    assert len(data.part("train")) == 4
    assert data.facts["split"] == (
        "train and test by the manifest; drawn from its training rows, data.seed=0: valid 0.3 of each class"
    )


def test_transcripts(tmp_path):
    rows = 'path,transcript,split\na.wav,"hi, ho",train\nb.wav,o,train\nc.wav,oh,valid\nd.wav,hi,test\n'
    data = make(manifest=with_files(tmp_path, rows))
    symbols = (" ", ",", "h", "i", "o")
    assert data.spec.task == Transcript(symbols)
    assert data.part("train")[0][1].tolist() == [symbols.index(s) for s in "hi, ho"]
    batch = data.collate([data.part("train")[i] for i in range(2)])
    assert batch.target_lengths.tolist() == [6, 1]
    assert batch.targets.shape == (2, 6)


def test_transcripts_without_splits_are_drawn(tmp_path):
    path = with_files(tmp_path, "path,transcript\n" + "".join(f"{name}.wav,aa\n" for name in "abcdefgh"))
    data = make(manifest=path, valid_fraction=0.25, test_fraction=0.25)
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [4, 2, 2]
    assert data.facts["split"] == "drawn from all files, data.seed=0: valid 0.25 and test 0.25"


def test_a_byte_order_mark_and_blanks_after_commas_are_no_matter(tmp_path):
    path = with_files(tmp_path, "")
    path.write_bytes(
        b"\xef\xbb\xbfpath, label, split\r\na.wav, x, train\r\nb.wav, y, train\r\nc.wav, x, valid\r\nd.wav, y, test\r\n"
    )
    assert make(manifest=path).spec.task.names == ("x", "y")


def test_rates_are_brought_to_the_most_common_one(tmp_path):
    for i in range(3):
        tone(tmp_path / "s" / "a" / f"{i}.wav", 500, 0.5, rate=8000)
        tone(tmp_path / "s" / "b" / f"{i}.wav", 500, 0.5, rate=16000 if i else 8000)
    data = make(path=tmp_path / "s", valid_fraction=0.3, test_fraction=0.3)
    assert data.spec.inputs == Waveform(8000)
    assert data.facts["sample rate"] == "8000 Hz, 2 of 6 files resampled"
    for split in ("train", "valid", "test"):
        for waveform, _ in (data.part(split)[i] for i in range(2)):
            assert len(waveform) == 4000
    assert make(path=tmp_path / "s", sample_rate=16000).spec.inputs == Waveform(16000)


def test_resampling_keeps_a_tone_and_removes_what_does_not_fit(tmp_path):
    wave = read_waveform(tone(tmp_path / "tone.wav", 500, 1.0, rate=44100), 8000)
    assert len(wave) == 8000
    expected = 0.5 * torch.sin(2 * math.pi * 500 * torch.arange(8000) / 8000)
    torch.testing.assert_close(wave[500:-500], expected[500:-500], atol=1e-3, rtol=0)
    high = read_waveform(tone(tmp_path / "high.wav", 6000, 1.0, rate=44100), 8000)  # above 4 kHz: would alias
    assert high[500:-500].abs().max() < 1e-3


def test_channels_are_mixed(tmp_path):
    left = np.linspace(-0.5, 0.5, 800)
    soundfile.write(tmp_path / "s.wav", np.stack([left, np.zeros(800)], axis=1), 8000, subtype="FLOAT")
    torch.testing.assert_close(read_waveform(tmp_path / "s.wav", 8000), torch.from_numpy(left).float() / 2)


def test_the_cache_changes_nothing_but_where_samples_come_from(folder):
    kept, read = make(path=folder), make(path=folder, cache_mb=0)
    assert kept.part("train").decoded is not None
    assert read.part("train").decoded is None
    assert kept.fingerprint == read.fingerprint
    for i in range(len(kept.part("train"))):
        assert torch.equal(kept.part("train")[i][0], read.part("train")[i][0])


def test_order_holds_every_sample_once_and_batches_similar_lengths(folder):
    data = make(path=folder)
    for split in ("train", "valid", "test"):
        for epoch in (0, 1):
            order = data.order(split, 3, 0, epoch)
            assert sorted(i for batch in order for i in batch) == list(range(len(data.part(split))))
    assert data.order("train", 3, 0, 0) == data.order("train", 3, 0, 0) != data.order("train", 3, 0, 1)
    part = data.part("train")
    spread = [
        max(lengths) / min(lengths) for lengths in ([len(part[i][0]) for i in b] for b in data.order("train", 4, 0, 0))
    ]
    assert max(spread) <= 1.4  # the lengths of all files differ by 2.8


def test_collate_pads(folder):
    data = make(path=folder)
    samples = [data.part("train")[i] for i in (0, 1, 2)]
    batch = data.collate(samples)
    assert batch.lengths.tolist() == [len(waveform) for waveform, _ in samples]
    assert batch.targets.tolist() == [int(target) for _, target in samples]
    assert batch.target_lengths is None
    for row, (waveform, _) in enumerate(samples):
        assert torch.equal(batch.inputs[row, : len(waveform)], waveform)
        assert (batch.inputs[row, len(waveform) :] == 0).all()


def test_spoken_digits(shared):
    data = make(manifest=shared / "audio" / "fsdd" / "manifest.csv")
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [2430, 270, 300]
    assert data.spec.task == Classes(tuple("0123456789"), (243,) * 10)
    assert data.spec.inputs == Waveform(8000)


# --- what is refused before anything is read


def test_wrong_arguments_are_refused_at_once(tmp_path, folder):
    for options, message in [
        ({}, "needs data.path=FOLDER (one sub-folder a class) or data.manifest=FILE.csv, one of them"),
        (
            {"path": str(folder), "manifest": "x.csv"},
            "needs data.path=FOLDER (one sub-folder a class) or data.manifest=FILE.csv, not both",
        ),
    ]:
        with pytest.raises(ConfigError) as refusal:
            AudioFolder(**options)
        assert str(refusal.value) == f"data=audio_folder {message}"
    with pytest.raises(ConfigError) as refusal:
        AudioFolder(path=str(folder), valid_fraction=0.5, test_fraction=0.5)
    assert str(refusal.value) == "data.valid_fraction=0.5 and data.test_fraction=0.5 leave nothing to train on"


def test_missing_places_are_refused_at_once(tmp_path, folder):
    with pytest.raises(DataError) as refusal:
        AudioFolder(path=str(tmp_path / "sound"))
    assert str(refusal.value) == (
        f"{tmp_path}/sound: no such folder. Did you mean 'sounds'? "
        "Expected a folder with one sub-folder of files a class"
    )
    write(tmp_path, "")
    with pytest.raises(DataError) as refusal:
        AudioFolder(manifest=str(tmp_path / "lst.csv"))
    assert str(refusal.value) == (
        f"{tmp_path}/lst.csv: no such file. Did you mean 'list.csv'? "
        "Expected a table with columns path and label or transcript"
    )


# --- manifests that cannot be used


MANIFESTS = [
    ("", "{0}: is empty. Expected a header line with the names of the columns"),
    ("path,label\n", "{0}: has no rows; expected a header with path and label or transcript, then a row a file"),
    ("pth,label\na.wav,x\n", "{0}: no column 'path'. Did you mean 'pth'? Columns: pth, label"),
    ("path,lable\na.wav,x\n", "{0}: no column 'label' or 'transcript'. Did you mean 'lable'? Columns: path, lable"),
    (
        "path,transcrpt\na.wav,x\n",
        "{0}: no column 'label' or 'transcript'. Did you mean 'transcrpt'? Columns: path, transcrpt",
    ),
    ("path,label,transcript\na.wav,x,y\n", "{0}: has both 'label' and 'transcript'; keep the one to be learned"),
    ("path,label,label\na.wav,x,y\n", "{0}: column 'label' is there twice. Expected one each"),
    ("path,label\na.wav\n", "{0}, line 2: 1 values, expected 2 as in the header"),
    (
        "path,label\na.wav,x\nb.wav,y,z\n",
        "{0}, line 3: 3 values, expected 2 as in the header; a comma inside a cell needs quotes",
    ),
    ("path,label\na.wav,\n", "{0}, line 2: no value for 'label'"),
    ("path,label\nz.wav,x\n", "{0}, line 2: no file {1}/z.wav; paths are relative to the manifest"),
    ("path,label\na.wav,x\nb.wav,y\na.wav,y\n", "{0}, line 4: a.wav was already named in line 2"),
    (
        "path,label,split\na.wav,x,train\nb.wav,y,trian\n",
        "{0}, line 3: split 'trian' is not known. Did you mean 'train'? Known: train, valid, test, dev, val, validation",
    ),
    ("path,label,split\na.wav,x,test\nb.wav,y,test\n", "{0}: column 'split' has no row with 'train'"),
    (
        "path,label,split\na.wav,x,train\nb.wav,y,train\nc.wav,z,test\nd.wav,x,valid\n",
        "{0}, line 4: label 'z' of the test part is on no training file",
    ),
    (
        "path,label,split\na.wav,x,train\nb.wav,x,train\nc.wav,x,test\nd.wav,x,valid\n",
        "{0}: all files are of one class, 'x'; at least two are needed",
    ),
    (
        "path,transcript,split\na.wav,ab,train\nb.wav,b,valid\nc.wav,ac,test\n",
        "{0}, line 4: symbol 'c' of a test file is in no training transcript",
    ),
    ("path,label\na.wav,x\nb.wav,y\n", "{0}: 2 files are too few to draw a valid part"),
]


@pytest.mark.parametrize(("text", "message"), MANIFESTS)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = with_files(tmp_path, text)
    with pytest.raises(DataError) as refusal:
        make(manifest=path)
    assert str(refusal.value) == message.format(path, tmp_path)


def test_a_manifest_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b"path,label\na.wav,\xff\n")
    with pytest.raises(DataError) as refusal:
        make(manifest=path)
    assert str(refusal.value) == f"{path}, line 2: is not UTF-8. Save the file as UTF-8"


# --- folders and files that cannot be used


def test_folders_that_cannot_be_used_are_refused(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    tone(tmp_path / "one" / "a" / "x.wav")
    tone(tmp_path / "one" / "a" / "y.wav")
    tone(tmp_path / "one" / "a" / "z.wav")
    tone(tmp_path / "given" / "train" / "a" / "x.wav")
    tone(tmp_path / "given" / "test" / "a" / "x.wav")
    for path, message in [
        (empty, "{0}: no WAV or FLAC files; expected one sub-folder of them for each class"),
        (tmp_path / "one", "{0}: all files are of one class, 'a'; at least two are needed"),
        (
            tmp_path / "given",
            "{0}: has folders test, train; sub-folders are classes. For given splits use data.manifest=FILE.csv "
            "with columns path, label and split",
        ),
    ]:
        with pytest.raises(DataError) as refusal:
            make(path=path)
        assert str(refusal.value) == message.format(path)
    (folder / "more").mkdir()
    with pytest.raises(DataError) as refusal:
        make(path=folder)
    assert str(refusal.value) == f"{folder}/more: no WAV or FLAC file in it; each sub-folder is a class and needs some"


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_text(path):
    path.write_text("not a sound")


def spoil_short(path):
    soundfile.write(path, np.zeros(79), 8000)


def spoil_silent(path):
    soundfile.write(path, np.zeros(0), 8000)


def spoil_nan(path):
    soundfile.write(path, np.full(800, np.nan, dtype=np.float32), 8000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_empty, "{0}: is empty; expected a WAV or FLAC file"),
        (spoil_text, "{0}: cannot be read as WAV or FLAC (Format not recognised)"),
        (spoil_short, "{0}: too short, 79 samples at 8000 Hz; at least 0.01 s is expected"),
        (spoil_silent, "{0}: holds no sound"),
        (spoil_nan, "{0}: holds samples that are not numbers (NaN or infinity)"),
    ],
)
def test_files_that_cannot_be_used_are_refused(folder, spoil, message):
    path = folder / "low" / "3.wav"
    spoil(path)
    with pytest.raises(DataError) as refusal:
        make(path=folder)
    assert str(refusal.value) == message.format(path)


def test_a_damaged_flac_file_is_refused(folder):
    path = folder / "low" / "4.flac"
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as refusal:
        make(path=folder)
    assert str(refusal.value).startswith(f"{path}: ")
