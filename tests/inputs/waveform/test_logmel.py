import math

import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.logmel import LogMel
from seqkit.inputs.waveform.mel import mel_filters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.classify.spec import Classes

LABELS = Classes(("a", "b"), (1, 1))


def spec(rate=8000):
    return DataSpec(Waveform(rate), LABELS)


def waves(*lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [0.1 * torch.randn(length, generator=draw) for length in lengths]


def padded(rows, extra=0, fill=0.0):
    lengths = torch.tensor([len(row) for row in rows])
    batch = torch.full((len(rows), int(lengths.max()) + extra), fill)
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    return batch, lengths


@pytest.mark.parametrize("normalise", ["utterance", "band", "none"])
@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize("fill", [0.0, 1.0, math.nan])
def test_valid_steps_depend_on_neither_padding_nor_batch(normalise, stack, fill):
    frontend = LogMel(spec(), normalise=normalise, stack=stack)
    rows = waves(4000, 1234, 201, 50)  # the last is shorter than a window
    batch, lengths = padded(rows, extra=777, fill=fill)
    x, steps = frontend(batch, lengths)
    for i, row in enumerate(rows):
        alone, none = frontend(row[None], None)
        assert none is None
        assert alone.shape[1] == steps[i]
        torch.testing.assert_close(x[i, : steps[i]], alone[0], atol=2e-5, rtol=0)  # matrix products round by shape
        assert (x[i, steps[i] :] == 0).all()
    assert x.isfinite().all()


def test_frames_are_counted_without_reaching_over_the_end():
    frontend = LogMel(spec(), window=0.025, hop=0.010)  # 200 and 80 samples
    for samples, frames in [(1, 1), (199, 1), (200, 1), (279, 1), (280, 2), (8000, 98)]:
        x, steps = frontend(torch.zeros(2, samples), torch.tensor([samples, samples]))
        assert x.shape == (2, frames, 40)
        assert steps.tolist() == [frames, frames]


@pytest.mark.parametrize(("stack", "steps"), [(1, 98), (2, 49), (3, 33), (4, 25)])
def test_stacking_keeps_every_frame_in_order(stack, steps):
    (row,) = waves(8000)
    plain, _ = LogMel(spec())(row[None], None)
    frontend = LogMel(spec(), stack=stack)
    x, lengths = frontend(row[None], torch.tensor([8000]))
    assert x.shape == (1, steps, 40 * stack)
    assert frontend.output_size == 40 * stack
    assert lengths.tolist() == [steps]
    flat = x.reshape(1, steps * stack, 40)
    assert torch.equal(flat[:, :98], plain)
    assert (flat[:, 98:] == 0).all()


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 3100.0])
def test_a_pure_tone_is_loudest_in_its_own_band(hertz):
    frontend = LogMel(spec(), n_mels=20, normalise="none", window=0.064)
    tone = torch.sin(2 * math.pi * hertz * torch.arange(8000) / 8000)
    x, _ = frontend(tone[None], None)
    # Band m peaks at (m + 1) / 21 of the way to mel(4000 Hz), by mel(f) = 2595 log10(1 + f / 700).
    mel = 2595 * math.log10(1 + hertz / 700) / (2595 * math.log10(1 + 4000 / 700)) * 21 - 1
    assert abs(int(x[0].mean(0).argmax()) - mel) <= 0.5


def test_mel_scale_has_its_defining_values():
    filters = mel_filters(n_mels=1, fft=1 << 14, rate=8000, fmin=0, fmax=4000)
    centre = int(filters[:, 0].argmax()) / (1 << 14) * 8000
    half = 2595 * math.log10(1 + 4000 / 700) / 2
    assert centre == pytest.approx(700 * (10 ** (half / 2595) - 1), abs=1)  # 1113 Hz
    assert float(filters.max()) == pytest.approx(1, abs=1e-3)


def test_neighbouring_triangles_add_up_to_one():
    filters = mel_filters(n_mels=10, fft=2048, rate=8000, fmin=0, fmax=4000)
    inside = filters[filters[:, 0].argmax() : filters[:, -1].argmax()]
    torch.testing.assert_close(inside.sum(1), torch.ones(len(inside)))


def test_white_noise_has_its_variance_as_power():
    frontend = LogMel(spec(), n_mels=4, normalise="none", window=0.032)
    x, _ = frontend(0.1 * torch.randn(1, 80000, generator=torch.Generator().manual_seed(1)), None)
    width = frontend.filters.sum(0)  # a band adds up the power of its frequencies
    torch.testing.assert_close(x.exp().mean(1)[0] / width, torch.full((4,), 0.01), rtol=0.1, atol=0)


def test_silence_is_finite():
    x, _ = LogMel(spec())(torch.zeros(1, 4000), None)
    assert x.isfinite().all()
    plain, _ = LogMel(spec(), normalise="none")(torch.zeros(1, 4000), None)
    assert float(plain.max()) == pytest.approx(math.log(1e-8))


def test_normalisation_is_over_valid_frames():
    batch, lengths = padded(waves(8000, 3000))
    for normalise, axes in (("utterance", (0, 1)), ("band", (0,))):
        x, steps = LogMel(spec(), normalise=normalise)(batch, lengths)
        for row, end in zip(x, steps.tolist(), strict=True):
            mean, deviation = row[:end].mean(axes), row[:end].std(axes, correction=0)
            torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
            torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=1e-3, rtol=0)


def test_loudness_does_not_matter_after_normalisation():
    (row,) = waves(8000)
    frontend = LogMel(spec())
    torch.testing.assert_close(frontend(row[None], None)[0], frontend(3 * row[None], None)[0], atol=1e-3, rtol=0)


def test_masks_are_drawn_in_training_only_and_from_the_torch_generator():
    frontend = LogMel(spec(), time_masks=1, time_mask=0.1, band_masks=1, band_mask=10)
    batch, lengths = padded(waves(8000, 3000))
    whole, steps = frontend.eval()(batch, lengths)
    assert torch.equal(whole, LogMel(spec())(batch, lengths)[0])
    frontend.train()
    torch.manual_seed(3)
    one = frontend(batch, lengths)[0]
    other = frontend(batch, lengths)[0]
    torch.manual_seed(3)
    assert torch.equal(one, frontend(batch, lengths)[0])
    assert not torch.equal(one, other)
    most_frames = most_bands = 0
    for _ in range(50):
        x = frontend(batch, lengths)[0]
        for row, full, end in zip(x, whole, steps.tolist(), strict=True):
            hidden = (row != full)[:end]
            most_frames = max(most_frames, int(hidden.all(1).sum()))
            most_bands = max(most_bands, int(hidden.all(0).sum()))
            assert (row[:end][hidden] == 0).all()
    assert most_frames == 10  # of 10 ms each
    assert most_bands == 10


def test_many_bands_use_a_longer_transform():
    assert LogMel(spec(), n_mels=40).fft == 256
    fine = LogMel(spec(), n_mels=80, window=0.010)
    assert fine.fft > 128
    assert (fine.filters.sum(0) > 0).all()


def test_it_computes_in_float32_under_autocast():
    batch, lengths = padded(waves(8000, 3000))
    frontend = LogMel(spec())
    with torch.autocast("cpu", torch.bfloat16):
        x, _ = frontend(batch, lengths)
    assert torch.equal(x, frontend(batch, lengths)[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (Tokens(Characters(("a",))), "frontend=logmel needs waveforms, this data has Tokens; use frontend=embedding"),
        (Frames(("a",), (0.0,), (1.0,)), "frontend=logmel needs waveforms, this data has Frames; use frontend=frames"),
    ],
)
def test_other_inputs_are_refused(inputs, message):
    with pytest.raises(ConfigError) as refusal:
        build("frontend", "logmel", DataSpec(inputs, LABELS))
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmax": 5000}, "frontend.fmax=5000: at most 4000 Hz, half the data's sample rate"),
        ({"fmin": 4000}, "frontend.fmin=4000: must be below the upper end of the bands, 4000 Hz"),
        ({"hop": 0.05}, "frontend.hop=0.05: longer than frontend.window=0.025, sound would be skipped"),
        (
            {"n_mels": 400, "window": 0.002, "hop": 0.002},
            "frontend.n_mels=400: too many bands between 0 and 4000 Hz for a window of 16 samples; "
            "use fewer bands or a longer frontend.window",
        ),
        ({"normalise": "no"}, "frontend.normalise=no: choose one of 'utterance', 'band', 'none'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError) as refusal:
        build("frontend", {"name": "logmel", **options}, spec())
    assert str(refusal.value) == message


def test_steps_of_a_length_are_those_of_its_waveform():
    one = LogMel(DataSpec(Waveform(8000), LABELS), stack=3, n_mels=4)
    for samples in (1, 200, 201, 280, 281, 1600, 4000):
        x, _ = one(torch.zeros(1, samples), None)
        assert one.steps(torch.tensor([samples])).tolist() == [x.shape[1]]
